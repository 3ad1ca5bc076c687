"""Every layer type through both targets: the small nets that BVLC Caffe computed, at several sizes."""

import pytest
import replay
import torch
from places import GOLDEN

import caffe
from caffe.exporting import reasons
from caffe.exporting.pytorch.writers import WRITERS as PYTORCH
from caffe.layer import LAYER_TYPES

TARGETS = {"onnx": ".onnx", "pytorch": ".py"}
OWN = {name for name, cls in LAYER_TYPES.items() if ".forks" not in cls.__module__}  # BVLC's
CASES = {}  # type -> its golden nets
for case in replay.LAYERS:
    CASES.setdefault(case.split("_")[0], []).append(case)
# An export of these has nothing in it: data alone, or what only judges
EMPTY = {"Accuracy", "DummyData", "HDF5Data", "Input", "MemoryData"}
EMPTY |= {name for name in LAYER_TYPES if name.endswith("Loss")}


@pytest.fixture(params=TARGETS)
def target(request):
    if request.param == "onnx":
        pytest.importorskip("onnx")
        pytest.importorskip("onnxruntime")
    return request.param


def golden(name):
    """A golden net with its bottoms and parameters."""
    case = replay.np.load(GOLDEN / "layers" / f"{name}.npz")
    with replay.working_in(GOLDEN / "layers"):
        net = caffe.Net(f"{name}.prototxt", getattr(caffe, str(case["phase"])))
    replay.write(net, case, "param")
    replay.write(net, case, "bottom")
    return net


def test_every_type_is_written_or_has_its_reason(target):
    module = pytest.importorskip(f"caffe.exporting.{target}.writers")
    assert {*module.WRITERS, *reasons.LEFT_OUT} & OWN == OWN
    assert not set(module.WRITERS) & set(reasons.LEFT_OUT)
    for writer in module.WRITERS.values():
        assert writer.__doc__


def test_every_written_type_is_tried():
    assert set(PYTORCH) & OWN <= {*CASES, "Split"}


@pytest.mark.parametrize("kind", sorted(set(CASES) - EMPTY))
def test_layer(kind, target, tmp_path):
    """On the golden bottoms, on random ones of three sizes, and for PyTorch in training."""
    for name in CASES[kind]:
        net = golden(name)
        samples = {blob: net.blobs[blob].data.copy() for blob in net.blobs}
        try:
            report = caffe.export(net, tmp_path / f"net{TARGETS[target]}", samples=samples)
        except ValueError as error:
            assert "nothing is left to export" in str(error) and kind == "Net", name
            continue
        assert len(report.trials) == 4 and max(t.off for t in report.trials) <= 1e-5, name
        assert all(file.is_file() for file in report.files)
        trained = report.gradients.startswith(("off by", "there are none"))
        assert target == "onnx" or trained or kind in ("ArgMax", "Threshold", "Power"), name


@pytest.mark.parametrize("kind", sorted(EMPTY & set(CASES)))
def test_what_is_left_out_leaves_nothing(kind, tmp_path):
    for name in CASES[kind][:2]:
        net = golden(name)
        if [layer.type for layer in net.layers if layer.type not in (kind, "Input", "Split")]:
            continue
        with pytest.raises(ValueError, match="nothing is left to export"):
            caffe.export(net, tmp_path / "net.py")


def test_float64_is_over_when_the_export_is(tmp_path):
    caffe.export(golden("Convolution_k3"), tmp_path / "net.py")
    assert caffe.context.dtype() == torch.float32
