"""Digits of scenes as boxes and masks, and what is read of them."""

import numpy as np
import pytest

from fcn.datasets.sample import draw
from fcn.detection.scenes import instances, roidb, scenes


def test_a_connected_part_is_an_instance():
    """Void borders belong to what they surround; a diagonal step does not part a digit."""
    labels = np.zeros((12, 12), np.uint8)
    labels[1:3, 1:3] = labels[3, 3] = 4
    labels[8:10, 2:9] = 4
    labels[7, 2:9] = 255
    boxes, classes, masks = instances(labels)
    assert boxes.tolist() == [[1, 1, 3, 3], [2, 7, 8, 9]] and classes.tolist() == [4, 4]
    assert masks[0].sum() == 5 and masks[1].sum() == 21
    boxes, classes, masks = instances(np.zeros((5, 6), np.uint8))
    assert boxes.shape == (0, 4) and masks.shape == (0, 5, 6) and not len(classes)


def test_scenes_as_drawn(tmp_path):
    draw.write(tmp_path, 0, {"train": ("sbd", "train", 2), "tune": ("voc", "tune", 1)})
    found = [*scenes(tmp_path, "train"), *scenes(tmp_path, "tune")]
    assert [scene.path.is_file() for scene in found] == [True] * 3
    for scene in found:
        assert 1 <= len(scene.boxes) == len(scene.masks) <= 4 and set(scene.classes) <= set(
            range(1, 11)
        )
        assert (scene.boxes[:, 3] - scene.boxes[:, 1] >= 50).all()  # digits' heights
    entry = roidb(found, np.array([[0, 0, 9, 9]]))[0]
    assert entry["gt_classes"][-1] == 0 and len(entry["boxes"]) == len(found[0].boxes) + 1
    with pytest.raises(FileNotFoundError, match="fcn data sample"):
        list(scenes(tmp_path, "seg11valid"))
