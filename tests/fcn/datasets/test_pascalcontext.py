"""PASCAL-Context's layer against a straightforward reading; its lists of labels."""

import shutil

import numpy as np
import pytest
from trees import SIZES, bgr_minus, build, fails, lines, mat, pattern, text, visit

from fcn.datasets import pascalcontext as pascalcontext_module
from fcn.datasets.dataset import DataError
from fcn.datasets.pascalcontext import CLASSES, PASCALContextSegDataLayer


def test_context(context):
    params = {"voc_dir": str(context / "pascal"), "context_dir": str(context / "pascal-context")}
    params |= {"split": "val", "seed": 1337}
    layer, blobs = build(PASCALContextSegDataLayer, params)
    for k, (id, (data, label)) in enumerate(zip(SIZES, visit(layer, blobs, 3))):
        image = context / f"pascal/VOC2010/JPEGImages/{id}.jpg"
        np.testing.assert_array_equal(data, bgr_minus(image, (104.007, 116.669, 122.679)))
        # 1 is the label spelled like a class that goes by another name; 459 is no class
        np.testing.assert_array_equal(label[0, 0], pattern(SIZES[id], [0, 1, 59, 11 + k, 0]))


def test_context_names_of_its_own(context):
    params = {"voc_dir": str(context / "pascal"), "context_dir": str(context / "pascal-context")}
    layer, _ = build(PASCALContextSegDataLayer, params | {"split": "val"})
    for name in ("diningtable", "bedcloth", "clothes"):
        task = CLASSES.index(name)
        assert layer.table[7 * task] == task
    assert layer.table[1] == 0


def test_context_label_nobody_named(context):
    labels = pattern(SIZES["a"], [1, 460]).astype(np.uint16)
    mat(context / "pascal-context/trainval/a.mat", LabelMap=labels)
    params = {"voc_dir": str(context / "pascal"), "context_dir": str(context / "pascal-context")}
    fails(PASCALContextSegDataLayer, params | {"split": "val"}, ValueError, "a.mat", "460")


def test_context_lists_of_labels(context):
    root = context / "pascal-context"
    shutil.move(root / "labels.txt", root / "trainval/labels.txt")
    text(context / "pascal/VOC2010/ImageSets/Main/train.txt", "a")
    pascalcontext_module.prepare(context)
    assert len(lines(root / "labels.txt")) == 459
    (root / "59_labels.txt").unlink()
    with pytest.raises(DataError, match="59_labels.txt"):
        pascalcontext_module.prepare(context)
