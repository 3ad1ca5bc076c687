"""Small trees in the data sets' real formats, and layers that read them."""

import numpy as np
import pytest
import scipy.io
from PIL import Image

from caffe.proto import caffe_pb2

MEAN = (104.00699, 116.66877, 122.67892)


SIZES = {"a": (61, 83), "b": (47, 39), "c": (30, 101)}  # height, width


SCENES = "spatial_envelope_256x256_static_8outdoorcategories"


class Top:
    """What a data layer needs of a blob."""

    def reshape(self, *shape):
        self.data = np.full(shape, np.nan, np.float32)


def build(kind, params, tops=2, bottoms=()):
    """A layer that has been set up and reshaped, with its tops."""
    layer = kind(caffe_pb2.LayerParameter(name="data", type="Python"))
    layer.param_str = params if isinstance(params, str) else repr(params)
    blobs = [Top() for _ in range(tops)]
    layer.setup(list(bottoms), blobs)
    layer.reshape([], blobs)
    return layer, blobs


def visit(layer, blobs, count):
    """The tops' data of `count` forwards, as a net runs them: reshape, then forward."""
    seen = []
    for _ in range(count):
        layer.reshape([], blobs)
        layer.forward([], blobs)
        seen.append([blob.data.copy() for blob in blobs])
    return seen


def picture(size, k, path):
    """R, G, B differ, so that a wrong order shows; odd values, so that a wrong mean shows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.zeros((*size, 3), np.uint8) + np.array([200 - k, 90 + 3 * k, 17 + k], np.uint8)
    pixels[: size[0] // 3, : size[1] // 2] = (13, 251, 99 + k)
    Image.fromarray(pixels).save(path, **({"quality": 95} if path.suffix == ".jpg" else {}))


def mat(path, **content):
    path.parent.mkdir(parents=True, exist_ok=True)
    scipy.io.savemat(path, content, do_compression=True)


def palette_png(path, labels):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(labels.astype(np.uint8), "L")
    image.putpalette([(37 * i) % 256 for i in range(768)])
    image.save(path)


def text(path, *lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))


def pattern(size, values):
    """Labels that take every one of `values`, different along both axes."""
    y, x = np.mgrid[: size[0], : size[1]]
    return np.array(values)[(3 * y + x // 4) % len(values)]


def bgr_minus(path, mean):
    """Pixel by pixel arithmetic, written apart from the layers'."""
    rgb = np.array(Image.open(path)).astype(np.float64)
    planes = [rgb[:, :, 2] - mean[0], rgb[:, :, 1] - mean[1], rgb[:, :, 0] - mean[2]]
    return np.stack(planes)[None].astype(np.float32)


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


def voc_params(voc, **more):
    return {"voc_dir": str(voc), "split": "seg11valid", "mean": MEAN, "seed": 1337, **more}


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
    from fcn.datasets.pascalcontext import CLASSES, MAIN_NAMES

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
