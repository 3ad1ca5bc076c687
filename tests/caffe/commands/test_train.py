"""`caffe train`: signals."""

import sys

import pytest

from caffe.__main__ import main

SIGNALLING = """
import signal
import caffe

class Signal(caffe.Layer):
    def setup(self, bottom, top):
        self.passes = 0
    def reshape(self, bottom, top):
        top[0].reshape(1)
    def forward(self, bottom, top):
        self.passes += 1
        if self.passes == 3:
            signal.raise_signal(getattr(signal, self.param_str))
    def backward(self, top, propagate_down, bottom):
        pass
"""


@pytest.mark.parametrize(
    ("name", "arguments", "stopped", "snapshots"),
    [
        ("SIGINT", [], True, [3]),
        ("SIGHUP", [], False, [3, 6]),
        ("SIGINT", ["-sigint_effect=snapshot"], False, [3, 6]),
        ("SIGINT", ["-sigint_effect=none"], False, [6]),
        ("SIGHUP", ["-sighup_effect", "stop"], True, [3]),
    ],
)
def test_signals(folder, capfd, monkeypatch, name, arguments, stopped, snapshots):
    """SIGINT stops after a snapshot, SIGHUP snapshots, or as the flags say."""
    monkeypatch.setattr("caffe.python_modules._allowed", {str(folder): None})
    (folder / "signalling.py").write_text(SIGNALLING)
    sys.modules.pop("signalling", None)
    (folder / "net.prototxt").write_text(
        'layer { name: "s" type: "Python" top: "s" python_param {'
        f' module: "signalling" layer: "Signal" param_str: "{name}" }} }}'
        'layer { name: "p" type: "Parameter" top: "p" parameter_param { shape { dim: 1 } } }'
        'layer { name: "loss" type: "EuclideanLoss" bottom: "p" bottom: "s" top: "loss" }'
    )
    (folder / "solver.prototxt").write_text(
        'net: "net.prototxt" base_lr: 0.1 lr_policy: "fixed" max_iter: 6 solver_mode: CPU '
        'snapshot_prefix: "s"'
    )
    assert main(["train", "-solver=solver.prototxt", *arguments]) == 0
    assert ("solver.cpp:311] Optimization stopped early." in capfd.readouterr().err) == stopped
    found = sorted(int(path.stem.split("_")[-1]) for path in folder.glob("*.solverstate"))
    assert found == snapshots


CANNOT = """layer { name: "in" type: "DummyData" top: "data" top: "label"
  dummy_data_param { shape { dim: 1 dim: 3 dim: 6 dim: 6 } shape { dim: 1 dim: 1 dim: 6 dim: 6 }
    data_filler { type: "gaussian" std: 100 } data_filler { type: "uniform" max: 2.9 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 3 kernel_size: 1 weight_filler { type: "xavier" } } }
layer { name: "up" type: "Deconvolution" bottom: "conv" top: "up" param { lr_mult: 0 }
  convolution_param { num_output: 3 kernel_size: 1 bias_term: false %s } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "up" bottom: "label" top: "loss" }
"""
SOLVER = (
    'net: "net.prototxt" base_lr: %s lr_policy: "fixed" max_iter: 12 display: 3 solver_mode: CPU '
    'snapshot_prefix: "s" momentum: 0.9'
)


def warnings_of(folder, capfd, filler, rate, more=""):
    (folder / "net.prototxt").write_text(CANNOT % filler)
    (folder / "solver.prototxt").write_text(SOLVER % rate + more)
    assert main(["train", "-solver=solver.prototxt"]) == 0
    lines = capfd.readouterr().err.splitlines()
    return [line.partition("] ")[2] for line in lines if line.startswith("W")]


def test_a_net_that_cannot_learn_is_told_in_one_line(folder, capfd):
    (line,) = warnings_of(folder, capfd, "", 0.01)
    assert line.startswith(
        "solver.prototxt: no gradient reaches the weights of conv: the weights of"
    )
    assert "'up' (Deconvolution) are zero and stay so, because their lr_mult is 0" in line


def test_an_upsampling_that_gives_every_class_the_same_is_told(folder, capfd):
    (line,) = warnings_of(folder, capfd, 'weight_filler { type: "bilinear" }', 0.01)
    assert "all classes get the same score for ever: the frozen weights of up are the same" in line
    assert "group: as many as num_output" in line


BILINEAR = 'group: 3 weight_filler { type: "bilinear" }'


def test_nan_is_told_once_at_a_display_and_at_each_snapshot(folder, capfd):
    first, *snapshots = warnings_of(folder, capfd, BILINEAR, "1e38", " snapshot: 4")
    assert "iteration 1: loss is nan: first in layer 'conv' (Convolution)" in first
    written = sorted(folder.glob("*.caffemodel"), key=lambda path: int(path.stem.split("_")[-1]))
    assert [path.stem for path in written] == ["s_iter_4", "s_iter_8", "s_iter_12"]
    assert [line.split(":")[0] for line in snapshots] == [f"snapshot {p.stem}" for p in written]
    assert "1 of 2 layers are not finite (NaN or Inf), first of 'conv'" in snapshots[0]


@pytest.mark.parametrize("display, device", [(0, "cpu"), (0, "gpu"), (5, "gpu")])
def test_nan_is_told_without_displays_and_on_a_gpu(folder, capfd, request, display, device):
    """Without displays a GPU is not waited for until something is written."""
    if device == "gpu":
        request.getfixturevalue("mock_gpu")
        request.getfixturevalue("monkeypatch").setattr(
            "caffe.commands.train._choose_device", lambda flags, param: None
        )
    (folder / "net.prototxt").write_text(CANNOT % BILINEAR)
    text = (SOLVER % "1e38").replace("display: 3", f"display: {display}")
    (folder / "solver.prototxt").write_text(text)
    assert main(["train", "-solver=solver.prototxt"]) == 0
    lines = [line for line in capfd.readouterr().err.splitlines() if line.startswith("W")]
    told = [line for line in lines if "loss is nan" in line]
    assert len(told) == (0 if (display, device) == (0, "gpu") else 1)
    assert ["s_iter_12" in line for line in lines if "nothing can go on" in line] == [True]


def test_a_healthy_net_is_not_warned_of(folder, capfd):
    assert warnings_of(folder, capfd, BILINEAR, 0.01) == []
