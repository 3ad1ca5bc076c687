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
def test_signals(folder, capfd, name, arguments, stopped, snapshots):
    """SIGINT stops after a snapshot, SIGHUP snapshots, or as the flags say."""
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
