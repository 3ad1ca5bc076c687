"""Weak labels: what they are derived from, and those that cannot be true."""

import json

import numpy as np
import pytest
import scipy.io
from PIL import Image

import caffe
from fcn.weak import labels
from fcn.weak.saliency import saliency

LABELS = np.zeros((40, 60), np.uint8)
LABELS[5:15, 5:25], LABELS[25:35, 40:55], LABELS[20:30, 5:15] = 3, 3, 7
LABELS[0, 0] = 255


@pytest.fixture
def record():
    return labels.derived("p", LABELS, np.random.RandomState(0), 0.1)


def test_what_is_derived(record):
    assert record["size"] == [40, 60] and record["tags"] == [3, 7] and record["large"] == [3]
    assert sorted(record["boxes"]) == [[5, 5, 14, 24, 3], [20, 5, 29, 14, 7], [25, 40, 34, 54, 3]]
    assert len(record["points"]) == 3
    assert all(LABELS[y, x] == k for y, x, k in record["points"])
    labels.check(record, LABELS.shape, LABELS)


@pytest.mark.parametrize(
    "change, said",
    [
        ({"size": [40, 61]}, r"p: the file says \[40, 61\], the picture is 40x60"),
        ({"large": [5]}, r"p: classes \[5\] are large, and not among its tags \[3, 7\]"),
        ({"points": [[40, 2, 3]]}, r"p: point \(40, 2\) lies outside of 40x60"),
        ({"points": [[2.5, 2, 3]]}, r"p: points: 3 whole numbers each, got \[2.5, 2, 3\]"),
        ({"boxes": [[1, 2, 3]]}, r"p: boxes: 5 whole numbers each, got \[1, 2, 3\]"),
        ({"points": [[2, 2, 5]]}, r"p: point \(2, 2\) is of class 5, its tags are \[3, 7\]"),
        ({"points": [[2, 2, 3]]}, r"p: point \(2, 2\) is of class 3, its label is 0"),
        ({"boxes": [[5, 5, 40, 9, 3]]}, r"p: box \[5, 5, 40, 9\] is empty or lies outside"),
        ({"boxes": [[9, 5, 5, 9, 3]]}, r"p: box \[9, 5, 5, 9\] is empty or lies outside"),
        ({"boxes": [[0, 0, 3, 3, 7]]}, r"p: box \[0, 0, 3, 3\] has no pixel of its class 7"),
        ({"boxes": [[0, 0, 3, 3, 9]]}, r"p: box \[0, 0, 3, 3\] is of class 9, its tags"),
        ({"tags": [3], "points": [], "boxes": []}, r"p: its tags are \[3\], its labels \[3, 7\]"),
    ],
)
def test_contradictions_are_named_with_picture_and_numbers(record, change, said):
    with pytest.raises(labels.Contradiction, match=said):
        labels.check(record | change, LABELS.shape, LABELS)


def test_files_that_are_none(tmp_path, record):
    path = tmp_path / "weak.jsonl"
    path.write_text(json.dumps(record) + "\nno line\n")
    with pytest.raises(ValueError, match="weak.jsonl, line 2: no weak labels"):
        labels.read(path)
    path.write_text(json.dumps(record) + "\n")
    with pytest.raises(ValueError, match="has no weak labels of 2 pictures: a, b"):
        labels.read(path, ["a", "p", "b"])


@pytest.fixture
def sbd(tmp_path):
    """SBD's tree with a picture."""
    for folder in ("img", "cls"):
        (tmp_path / folder).mkdir()
    gt = np.zeros((1, 1), [("Segmentation", "O")])
    gt[0, 0]["Segmentation"] = np.where(LABELS == 255, 0, LABELS)
    scipy.io.savemat(tmp_path / "cls/p.mat", {"GTcls": gt})
    Image.fromarray(30 * np.stack([LABELS] * 3, 2)).save(tmp_path / "img/p.jpg")
    (tmp_path / "train.txt").write_text("p\n")
    return tmp_path


def net_of(sbd, more=""):
    params = f"dict(sbdd_dir={str(sbd)!r}, split='train', mean=(1.0, 2.0, 3.0){more})"
    params = str(eval(params))  # a literal
    (sbd / "net.prototxt").write_text(
        'layer { name: "d" type: "Python" top: "data" top: "label" python_param { module: '
        f'"fcn.weak.data_layer" layer: "WeakDataLayer" param_str: "{params}" }} }}'
    )
    return caffe.Net(str(sbd / "net.prototxt"), caffe.TRAIN)


def test_the_data_layer_gives_points_objectness_and_lists(sbd):
    path = labels.write(sbd)
    record = labels.read(path)["p"]
    assert labels.write(sbd) == path  # as it is
    net = net_of(sbd)
    net.forward()
    found = net.blobs["label"].data[0]
    clicks = {(y, x): int(found[0, y, x]) for y, x in zip(*np.nonzero(found[0] != 255))}
    assert clicks == {(y, x): k for y, x, k in record["points"]}
    assert found[2, 0, :3].tolist() == [3, 7, 0] and found[2, 1, :2].tolist() == [3, 0]
    assert found[1].max() > 100
    net = net_of(sbd, ", points=False")
    net.forward()
    assert (net.blobs["label"].data[0, 0] == 255).all()


def test_saliency_from_files(sbd):
    labels.write(sbd)
    (sbd / "maps").mkdir()
    Image.new("L", (60, 40), 77).save(sbd / "maps/p.png")
    net = net_of(sbd, ", saliency='maps'")
    net.forward()
    assert (net.blobs["label"].data[0, 1] == 77).all()
    Image.new("L", (60, 41), 77).save(sbd / "maps/p.png")
    with pytest.raises(Exception, match="p.png is 41x60, its picture 40x60"):
        net_of(sbd, ", saliency='maps'").forward()


def test_labels_of_another_picture_are_named(sbd):
    path = labels.write(sbd)
    path.write_text(path.read_text().replace('"points": [[', '"points": [[99, 2, 3], ['))
    with pytest.raises(Exception, match=r"p: point \(99, 2\) lies outside of 40x60"):
        net_of(sbd).forward()


def test_saliency_is_high_where_a_picture_is_unlike_itself():
    picture = np.full((60, 80, 3), 90, np.uint8)
    picture[20:40, 30:50] = (250, 240, 230)
    found = saliency(picture)
    assert found[25:35, 35:45].min() > 200 and found[:10, :10].max() < 60
    assert saliency(np.zeros((9, 9, 3), np.uint8)).max() == 0
