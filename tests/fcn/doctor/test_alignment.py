"""Labels that do not lie on their pictures: shifted, mirrored, or made for pictures as stored."""

from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from fcn.datasets.sample.draw import save_mat
from fcn.doctor import alignment, before_training, edges


def test_shifted_labels(task):
    for path in task.labels:
        save_mat(path, np.roll(task.classes_in(path), (0, 12), (0, 1)))
    found = task.find()
    assert [each.kind for each in found] == ["labels.shifted"]
    assert "12 pixels to the left" in found[0].what and "train net" in found[0].what


MOVES = {
    "mirrored left to right": lambda label: label[:, ::-1],
    "mirrored top to bottom": lambda label: label[::-1],
    "turned by 180 degrees": lambda label: label[::-1, ::-1],
}


@pytest.mark.parametrize("move", MOVES)
def test_mirrored_labels(task, move):
    for path in task.labels:
        save_mat(path, MOVES[move](task.classes_in(path)))
    found = task.find()
    assert [each.kind for each in found] == ["labels.mirrored"]
    assert found[0].what.endswith(move) and "8 of 8 pictures" in found[0].evidence


def test_some_labels_are_mirrored(task):
    for path in task.labels[::2]:
        save_mat(path, task.classes_in(path)[:, ::-1])
    found = task.find()
    assert [each.kind for each in found] == ["labels.mirrored"]
    assert found[0].what.startswith("some labels of") and found[0].what.endswith("left to right")
    assert "in 4 of 8 pictures" in found[0].evidence and task.labels[0].stem in found[0].evidence


@pytest.mark.parametrize("strength", [8, 60])
def test_labels_of_other_pictures(strength):
    """Rectangles a little or much brighter than noise; each picture with its own label, or the next one's."""
    rng = np.random.RandomState(0)
    labels = np.zeros((16, 100, 120), np.uint8)
    for label in labels:
        for y, x in rng.randint(0, 70, (3, 2)):
            label[y : y + 30, x : x + 40] = 1
    pictures = strength * labels[:, None].repeat(3, 1) + rng.randint(0, 30, (16, 3, 100, 120))

    def found(labels):
        pairs = zip(pictures.astype(float), labels)
        seen = [
            edges.Compared("", edges.edges_of(each), edges.border_of(label))
            for each, label in pairs
        ]
        return list(alignment.check_all(SimpleNamespace(title="the train net"), seen))

    assert found(labels) == []
    (finding,) = found(np.roll(labels, 1, axis=0))
    assert finding.kind == "labels.strange" and "in 16 pictures" in finding.evidence


def stored_turned(path, orientation, as_stored):
    """Store a picture turned as EXIF says; `as_stored`: turn no pixel, so that EXIF turns it off."""
    undo = {2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM"}[orientation]
    with Image.open(path) as image:
        exif = image.getexif()
        exif[0x0112] = orientation
        stored = image.copy() if as_stored else image.transpose(Image.Transpose[undo])
    stored.save(path, exif=exif, quality=95)


@pytest.mark.parametrize("orientation", [2, 3, 4])
@pytest.mark.parametrize("count", [1, 5])
def test_labels_of_pictures_as_stored(task, orientation, count):
    paths = sorted((task.scenes / "sbd/img").glob("*.jpg"))[:count]
    for path in paths:
        stored_turned(path, orientation, as_stored=True)
    found = [each for each in before_training(task.case()) if each.kind == "labels.turned"]
    assert [each.level for each in found] == ["warn"]
    assert found[0].what.startswith(f"train net: {count} picture")
    assert "made for the pictures as stored" in found[0].what and paths[0].stem in found[0].evidence


@pytest.mark.parametrize("orientation", [2, 3, 4])
def test_labels_of_pictures_as_read(task, orientation):
    for path in sorted((task.scenes / "sbd/img").glob("*.jpg")):
        stored_turned(path, orientation, as_stored=False)
    assert task.find() == [] and "labels.turned" not in every_kind(task)


def every_kind(task):
    """The kinds of all findings, notes included."""
    return [each.kind for each in before_training(task.case())]


def test_turned_pictures_that_tell_nothing(task):
    """A label without edges: what to look at is said."""
    stored_turned(sorted((task.scenes / "sbd/img").glob("*.jpg"))[2], 3, as_stored=True)
    save_mat(task.labels[2], np.zeros_like(task.classes_in(task.labels[2])))
    found = [each for each in before_training(task.case()) if each.kind == "labels.turned"]
    assert [each.level for each in found] == ["note"] and task.find() == []
    assert "draw the label" in found[0].way_out and "orientation 3" in found[0].evidence
