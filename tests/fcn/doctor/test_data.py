"""What the data layers are told: means, splits, keys, classes."""

import re

import pytest

from fcn.datasets.voc import SBDDSegDataLayer
from fcn.doctor import before_training


@pytest.mark.parametrize(
    "mean, nets, kind",
    [
        ("(0.0, 0.0, 0.0)", ["train"], "data.mean_differs"),
        ("(0.0, 0.0, 0.0)", ["train", "val"], "data.no_mean"),
        ("(-76.0, -81.0, -75.0)", ["train", "val"], "data.mean_sign"),
        ("(75.0, 81.0, 76.0)", ["train", "val"], "data.mean_order"),
        ("(104.0, 117.0, 123.0)", ["train", "val"], "data.mean"),
    ],
)
def test_wrong_mean(task, mean, nets, kind):
    """One finding, with one number to put there: the data set's, or that of the training pictures."""
    task.edit("(76.0, 81.0, 75.0)", mean, *nets)
    (finding,) = task.find()
    assert finding.kind == kind
    assert "'mean': (76, 81, 75) in both param_str" in finding.way_out


@pytest.mark.parametrize(
    "mean, nets, kind",
    [
        ("(0.0, 0.0, 0.0)", ["train"], "data.mean_differs"),
        ("(0.0, 0.0, 0.0)", ["train", "val"], "data.no_mean"),
        ("(-76.0, -81.0, -75.0)", ["train", "val"], "data.mean_sign"),
    ],
)
def test_wrong_mean_of_a_set_of_one_s_own(task, mean, nets, kind):
    task.edit("(76.0, 81.0, 75.0)", mean, *nets)
    case = task.case()
    case.task = None
    (finding,) = task.look(case)
    assert finding.kind == kind and len(re.findall("'mean': \\(", str(finding))) == 1
    assert finding.way_out.endswith("that of 8 training pictures")


@pytest.mark.parametrize("classes", ["eleven", 0, 300, 11.5])
def test_classes_that_are_no_number(task, classes):
    """It is the data layer's fault alone, not that of the nets' outputs."""
    task.edit(
        "\\'classes\\': 11", f"\\'classes\\': {classes!r}".replace("'eleven'", "\\'eleven\\'")
    )
    found = task.find(built=False)
    assert [each.kind for each in found] == ["data.params"] * 2
    assert "'classes' is" in found[0].what and "1 to 255" in found[0].what


def test_swapped_channels(task, monkeypatch):
    right = SBDDSegDataLayer.load_image
    monkeypatch.setattr(SBDDSegDataLayer, "load_image", lambda self, id: right(self, id)[::-1])
    assert "data.channels" in task.kinds()


def test_wrong_split(task):
    lists = task.scenes / "voc/ImageSets/Segmentation"
    task.edit("seg11valid", "tune", "val")
    assert task.kinds() == ["data.split"]
    (task.scenes / "sbd/train.txt").write_text((lists / "tune.txt").read_text())
    assert "data.same_split" in task.kinds(built=False)


def test_unknown_key(task):
    task.edit(
        "'split': 'train'".replace("'", "\\'"),
        "\\'batch_size\\': 4, \\'split\\': \\'train\\'",
        "train",
    )
    case = task.case(built=False)
    found = [each for each in before_training(case) if each.kind.startswith("data.")]
    assert any("iter_size" in each.way_out for each in found)
