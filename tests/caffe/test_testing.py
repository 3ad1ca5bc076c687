"""What a solver's tests come to: means, and the mean average precision of detections."""

import numpy as np
import pytest
from nets import layer

import caffe
from caffe.testing import AP_VERSIONS, average_precision

RIGHT = np.array([1, 0, 1, 1, 0, 0, 1], float)


def naive(right, objects, version):
    """By loops, as in SSD's ComputeAP."""
    hits = [sum(right[: i + 1]) for i in range(len(right))]
    precision = [h / (i + 1) for i, h in enumerate(hits)]
    recall = [h / objects for h in hits]
    if version == "11point":
        return (
            sum(
                max([p for p, r in zip(precision, recall) if r >= j / 10], default=0)
                for j in range(11)
            )
            / 11
        )
    area, before = 0.0, 0.0
    if version == "Integral":
        for p, r in zip(precision, recall):
            area, before = area + p * (r - before), r
        return area
    best, last = precision[-1], recall[-1]
    for p, r in list(zip(precision, recall))[-2::-1]:
        best = max(best, p)
        area, last = area + best * (last - r), r
    return area + best * last


@pytest.mark.parametrize("version", AP_VERSIONS)
@pytest.mark.parametrize("objects", [4, 7])
def test_average_precision(version, objects):
    found = average_precision(RIGHT, 1 - RIGHT, objects, version)
    assert found == pytest.approx(naive(RIGHT, objects, version))
    assert average_precision(np.ones(3), np.zeros(3), 3, version) == pytest.approx(1)


ROWS = """layer { name: "found" type: "Input" top: "found" top: "objects" input_param {
  shape { dim: 1 dim: 1 dim: 3 dim: 7 } shape { dim: 1 dim: 1 dim: 2 dim: 8 } } }
"""
EVALUATE = layer(
    "evaluate",
    "DetectionEvaluate",
    ["found", "objects"],
    "map",
    "detection_evaluate_param { num_classes: 3 evaluate_difficult_gt: false }",
)
LEARNED = layer(
    "fc", "InnerProduct", ["found"], "fc", "inner_product_param { num_output: 1 } loss_weight: 0"
)
BOX = [0.1, 0.1, 0.5, 0.5]


@pytest.fixture
def solver(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def solver(settings, body=EVALUATE):
        (tmp_path / "train.prototxt").write_text(ROWS + LEARNED)
        (tmp_path / "test.prototxt").write_text(ROWS + body)
        (tmp_path / "solver.prototxt").write_text(
            'train_net: "train.prototxt" test_net: "test.prototxt" test_iter: 2 test_interval: 10 '
            f'base_lr: 0.1 lr_policy: "fixed" max_iter: 1 snapshot_prefix: "s" {settings}'
        )
        made = caffe.SGDSolver("solver.prototxt")
        net = made.test_nets[0]
        # class 1: one is right, one wrong; class 2: a difficult object, which does not count
        net.blobs["found"].data[0, 0] = [[0, 1, 0.9, *BOX], [0, 1, 0.8, *BOX], [0, 2, 0.7, *BOX]]
        net.blobs["objects"].data[0, 0] = [[0, 1, 0, *BOX, 0], [0, 2, 0, *BOX, 1]]
        return made

    return solver


@pytest.fixture
def logged(monkeypatch):
    """What the tests of a solver log."""
    said = []
    for module in ("caffe.solver_nets", "caffe.testing"):
        monkeypatch.setattr(f"{module}.info", lambda source, text: said.append(text))
    monkeypatch.setattr("caffe.testing.warning", lambda source, text: said.append(text))

    def logged(solver):
        said.clear()
        solver._test_all()
        return said

    return logged


def test_detections_of_all_passes_are_one_list(solver, logged):
    """Two passes: scores .9 .9 .8 .8, of which the first two are right; class 2 counts 0."""
    said = logged(
        solver('eval_type: "detection" ap_version: "11point" show_per_class_result: true')
    )
    assert "    Test net output #0: map = 0.5" in said and "class1: 1" in said
    assert "Missing true_pos for label: 2" in said


def test_without_eval_type_outputs_are_means(solver, logged):
    said = logged(solver(""))
    assert len([line for line in said if "Test net output #" in line]) == 25


def test_outputs_that_are_no_detections(solver):
    made = solver('eval_type: "detection"', layer("half", "Power", ["found"], "half"))
    with pytest.raises(
        ValueError, match="rows of 5 values that DetectionEvaluate makes; output 'half'"
    ):
        made._test_all()


@pytest.mark.parametrize(
    "settings, message",
    [
        ('eval_type: "segmentation"', "eval_type is 'segmentation', it must be classification or"),
        ('ap_version: "12point"', "ap_version is '12point', it must be 11point or MaxIntegral or"),
    ],
)
def test_mistakes(solver, settings, message):
    with pytest.raises(ValueError, match=message):
        solver(settings)
