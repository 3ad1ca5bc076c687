"""`caffe time`: what is timed."""

import pytest

from caffe.__main__ import main
from caffe.layers.conv import Convolution
from caffe.layers.inner_product import InnerProduct


def test_time_runs_backward_in_a_net_without_loss(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.prototxt").write_text(
        'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 2 } } }'
        'layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" '
        "inner_product_param { num_output: 2 } }"
    )
    calls = []
    backward = InnerProduct.backward
    monkeypatch.setattr(
        InnerProduct, "backward", lambda *args: (calls.append(args[2]), backward(*args))
    )
    assert main(["time", "-model=net.prototxt", "-iterations=2"]) == 0
    # Once untimed, then twice an iteration. As Caffe: the weights' gradient only
    assert calls == [[False]] * 5


FED = """
layer { name: "data" type: "Input" top: "data" top: "label"
  input_param { shape { dim: 1 dim: 3 dim: 40 dim: 40 } shape { dim: 1 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 32 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "ip" type: "InnerProduct" bottom: "conv" top: "ip" inner_product_param { num_output: 2 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
"""


@pytest.mark.parametrize("phase", ["TRAIN", "TEST"])
def test_time_runs_passes_on_new_inputs_and_tells_rates(folder, capfd, monkeypatch, phase):
    (folder / "net.prototxt").write_text(FED)
    seen = []
    name = "forward_fused" if phase == "TEST" else "forward"
    own = getattr(Convolution, name)

    def spy(self, bottom, top, *more):
        seen.append((bottom[0].x.sum().item(), more))
        own(self, bottom, top, *more)

    monkeypatch.setattr(Convolution, name, spy)
    assert main(["time", "-model=net.prototxt", f"-phase={phase}", "-iterations=2"]) == 0
    # Caffe's first pass and an untimed one; then, an iteration, a whole pass and one layer by layer
    assert len({total for total, _ in seen}) == len(seen) == 6
    if phase == "TEST":
        for _, (window, followers) in seen:
            assert window == (0, 38, 0, 38) and [x.type for x in followers] == ["ReLU"]
    lines = capfd.readouterr().err.splitlines()
    assert "peak of this machine: 100 GMAC/s" in lines[-1] and "; 10.0 GB/s" in lines[-1]
    relu = next(line for line in lines if "relu\tforward: " in line)
    assert relu.endswith(": 0 ms.") == (phase == "TEST")
    told = [line.partition("roofline:0] ")[2] for line in lines if " roofline:0] " in line]
    assert told[0] == "Forward:" and told[len(told) // 2] == "Backward:"
    tables = told[: len(told) // 2], told[len(told) // 2 :]
    for table in tables:
        rows = {row.split()[0]: row.split() for row in table[2:7]}
        assert list(rows) == ["data", "conv", "relu", "ip", "loss"]
        assert rows["conv"][4] == "0.001"  # backward: the weights' gradient, no other is wanted
        assert table[7].startswith("sum of layers ")
