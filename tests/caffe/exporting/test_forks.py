"""The forks' layers through both targets; each is written, left out, or has its reason."""

import pytest
from places import ROOT

from caffe.exporting import deploy, export, reasons
from caffe.exporting.onnx.writers import WRITERS as ONNX
from caffe.exporting.pytorch.writers import WRITERS as PYTORCH
from caffe.net import Net

fork_cases = pytest.importorskip("fork_cases", reason="the forks' layers are not here")
CASES = fork_cases.cases()


@pytest.mark.parametrize("name", CASES)
def test_every_class_is_written_or_has_its_reason(name):
    kind = fork_cases.as_net(CASES[name]).layer[-1].type
    there = {name in ONNX, name in PYTORCH}
    assert (
        len(there) == 1
        and there.pop() + bool(reasons.left_out(kind)) + (name in reasons.NO_WORD) == 1
    )


@pytest.mark.parametrize("ending", [".onnx", ".py"])
@pytest.mark.parametrize("name", [name for name in CASES if name in PYTORCH])
def test_fork_layer(name, ending, tmp_path):
    if ending == ".onnx":
        pytest.importorskip("onnx")
        pytest.importorskip("onnxruntime")
    net = Net.from_param(fork_cases.as_net(CASES[name]))
    fork_cases.fill(net, CASES[name])
    samples = {blob: net.blobs[blob].data.copy() for blob in net.inputs}
    report = export(net, tmp_path / f"net{ending}", samples=samples)
    assert max(trial.off for trial in report.trials) <= 1e-5
    assert ending == ".onnx" or report.gradients.startswith(("off by", "there are none")), (
        report.gradients
    )


# What goes to other libraries of nets that find boxes: all but the choice among them
PARTS = {
    "faster_rcnn": ({"outputs": ["rpn_bbox_pred", "rpn_cls_prob_reshape"]}, 2),
    "ssd": ({"outputs": ["mbox_loc", "mbox_conf_flatten", "mbox_priorbox"]}, 3),
    "segnet": ({"inputs": ["pool1", "pool1_mask"], "outputs": ["score"]}, 1),
}
WHOLE = ["deeplab_v1", "hed", "pspnet", "small_nets"]


@pytest.mark.parametrize("ending", [".onnx", ".py"])
@pytest.mark.parametrize("name", [*PARTS, *WHOLE])
def test_nets_of_forks(name, ending, tmp_path):
    if ending == ".onnx":
        pytest.importorskip("onnx")
        pytest.importorskip("onnxruntime")
    options, count = PARTS.get(name, ({}, 0))
    net, _ = deploy.of_file(ROOT / f"tests/caffe/fork_nets/{name}.prototxt", **options)
    report = export(net, tmp_path / f"net{ending}", gradients=False)
    assert len(report.outputs) >= count and max(trial.off for trial in report.trials) <= 1e-5
