"""A small tree of each data set, in its real format."""

import shutil

import numpy as np
import pytest
from PIL import Image
from trees import SCENES, SIZES, mat, palette_png, pattern, picture, text

from fcn.datasets.pascalcontext import CLASSES, MAIN_NAMES


@pytest.fixture
def voc(tmp_path):
    root = tmp_path / "VOC2011"
    for k, (id, size) in enumerate(SIZES.items()):
        picture(size, k, root / f"JPEGImages/{id}.jpg")
        labels = pattern(size, [0, 20, 255, 7 + k])
        palette_png(root / f"SegmentationClass/{id}.png", labels)
    text(root / "ImageSets/Segmentation/seg11valid.txt", *SIZES)
    text(root / "ImageSets/Segmentation/train.txt", *SIZES)
    return root


@pytest.fixture
def sbd(tmp_path):
    root = tmp_path / "sbd"
    segmentation = np.dtype([("Segmentation", "O"), ("Boundaries", "O")])
    for k, (id, size) in enumerate(SIZES.items()):
        picture(size, k, root / f"img/{id}.jpg")
        nested = np.zeros((1, 1), segmentation)
        nested[0, 0]["Segmentation"] = pattern(size, [0, 3 + k, 20]).astype(np.uint8)
        nested[0, 0]["Boundaries"] = np.zeros((20, 1))
        mat(root / f"cls/{id}.mat", GTcls=nested)
    text(root / "train.txt", *SIZES)
    return root


@pytest.fixture
def nyud(tmp_path):
    root = tmp_path / "nyud"
    for k, (id, size) in enumerate(SIZES.items()):
        picture(size, k, root / f"data/images/img_{id}.png")
        picture(size, k + 40, root / f"data/hha/img_{id}.png")
        depth = pattern(size, [700 + k, 2550, 9000 + k]).astype(np.uint16)
        (root / "data/depth").mkdir(parents=True, exist_ok=True)
        Image.fromarray(depth).save(root / f"data/depth/img_{id}.png")
        labels = pattern(size, [0, 1, 40, 12 + k]).astype(np.uint8)
        mat(root / f"segmentation/img_{id}.mat", segmentation=labels)
    text(root / "test.txt", *SIZES)
    return root


@pytest.fixture
def siftflow(tmp_path):
    root = tmp_path / "sift-flow"
    for k, (id, size) in enumerate(SIZES.items()):
        picture(size, k, root / f"Images/{SCENES}/{id}.jpg")
        sem, geo = pattern(size, [0, 1, 33, 5 + k]), pattern(size, [-1, 1, 2, 3])
        mat(root / f"SemanticLabels/{SCENES}/{id}.mat", S=sem.astype(np.float64), names=["awning"])
        mat(root / f"GeoLabels/{SCENES}/{id}.mat", S=geo.astype(np.int16))
    text(root / "test.txt", *SIZES)
    return root


@pytest.fixture
def context(tmp_path):
    """A list of 459 names where the task's 59 stand at known places, some with blanks in them."""
    names = [f"thing {i}" for i in range(1, 460)]
    for task, name in enumerate(CLASSES[1:], 1):
        main = MAIN_NAMES.get(name, name)
        names[7 * task - 1] = " ".join((main[:3], main[3:])) if task % 2 else main
    names[0] = "clothes"  # the task's own spelling is another label: a wrong match would show
    text(tmp_path / "pascal-context/labels.txt", *(f"{i}: {n}" for i, n in enumerate(names, 1)))
    task_lines = (f"{i}: {n}" for i, n in enumerate(CLASSES[1:], 1))
    text(tmp_path / "pascal-context/59_labels.txt", *task_lines)
    for k, (id, size) in enumerate(SIZES.items()):
        picture(size, k, tmp_path / f"pascal/VOC2010/JPEGImages/{id}.jpg")
        labels = pattern(size, [1, 7, 7 * 59, 77 + 7 * k, 459]).astype(np.uint16)
        mat(tmp_path / f"pascal-context/trainval/{id}.mat", LabelMap=labels)
    text(tmp_path / "pascal/VOC2010/ImageSets/Main/val.txt", *SIZES)
    return tmp_path


@pytest.fixture
def whole_voc(voc, sbd, tmp_path):
    """Both trees where the data folder has them."""
    (tmp_path / "data/pascal").mkdir(parents=True)
    (tmp_path / "data/sbdd").mkdir()
    shutil.move(voc, tmp_path / "data/pascal/VOC2011")
    shutil.move(sbd, tmp_path / "data/sbdd/dataset")
    for image in (tmp_path / "data").rglob("*.jpg"):  # grey levels around the mean expected
        with Image.open(image) as opened:
            size = opened.size
        Image.new("RGB", size, (123, 117, 104)).save(image, quality=95)
    return tmp_path / "data"
