"""SIFT Flow's layer against a straightforward reading; its lists."""

import shutil

import numpy as np
from trees import SCENES, SIZES, bgr_minus, build, digest, lines, pattern, text, visit

from fcn.datasets import siftflow as siftflow_module
from fcn.datasets.siftflow import SIFTFlowSegDataLayer


def test_siftflow(siftflow):
    params = {"siftflow_dir": str(siftflow), "split": "test", "seed": 1337}
    layer, blobs = build(SIFTFlowSegDataLayer, params, tops=3)
    for k, (id, (data, sem, geo)) in enumerate(zip(SIZES, visit(layer, blobs, 3))):
        image = siftflow / f"Images/{SCENES}/{id}.jpg"
        np.testing.assert_array_equal(data, bgr_minus(image, (114.578, 115.294, 108.353)))
        np.testing.assert_array_equal(sem[0, 0], pattern(SIZES[id], [255, 0, 32, 4 + k]))
        np.testing.assert_array_equal(geo[0, 0], pattern(SIZES[id], [255, 0, 1, 2]))
    np.testing.assert_array_equal(layer.load_label("c", "geometric"), geo[0])
    np.testing.assert_array_equal(layer.load_label("c", label_type="semantic"), sem[0])


def test_siftflow_lists(siftflow, monkeypatch, capsys):
    """The list of test pictures is known by its content, whatever its name and slashes."""
    for name in ("highway_bost181", "street_urb506", "d"):
        shutil.copy(siftflow / f"Images/{SCENES}/a.jpg", siftflow / f"Images/{SCENES}/{name}.jpg")
    (siftflow / "test.txt").unlink()
    text(siftflow / "notes.txt", "about the set")
    text(siftflow / "A_TrainSet.txt", f"{SCENES}\\a.jpg")
    text(siftflow / "TestSet.txt", f"{SCENES}\\c.jpg", f"{SCENES}\\b.jpg")
    monkeypatch.setitem(siftflow_module.SPLITS, "test", digest("b", "c"))
    siftflow_module.prepare(siftflow.parent)
    assert lines(siftflow / "test.txt") == ["b", "c"]
    assert lines(siftflow / "trainval.txt") == ["a", "d"]
    assert "test: 2 ids, as published" in capsys.readouterr().out
    monkeypatch.undo()
    siftflow_module.prepare(siftflow.parent)  # another list than published: by its name
    assert lines(siftflow / "test.txt") == ["b", "c"]
