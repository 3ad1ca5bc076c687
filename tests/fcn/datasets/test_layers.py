"""The data layers against a straightforward reading of small trees in the sets' real formats."""

import gc
import random
import threading
import time

import numpy as np
import pytest
import scipy.io
from PIL import Image

import caffe
from caffe.proto import caffe_pb2
from fcn.datasets import layer as layer_module
from fcn.datasets.nyud import NYUDSegDataLayer
from fcn.datasets.pascalcontext import PASCALContextSegDataLayer
from fcn.datasets.siftflow import SIFTFlowSegDataLayer
from fcn.datasets.voc import SBDDSegDataLayer, VOCSegDataLayer

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


# Equal to a straightforward reading


def test_voc(voc):
    layer, blobs = build(VOCSegDataLayer, voc_params(voc))
    for id, (data, label) in zip([*SIZES, "a"], visit(layer, blobs, 4)):
        expected = bgr_minus(voc / f"JPEGImages/{id}.jpg", MEAN)
        np.testing.assert_array_equal(data, expected)
        expected = np.array(Image.open(voc / f"SegmentationClass/{id}.png"))[None, None]
        np.testing.assert_array_equal(label, expected)
        assert set(np.unique(label)) >= {0, 20, 255}
    assert layer.load_image("b").shape == (3, 47, 39)
    assert layer.load_label("b").shape == (1, 47, 39)


def test_voc_channels_are_bgr(tmp_path):
    path = tmp_path / "JPEGImages/x.png"
    path.parent.mkdir()
    Image.new("RGB", (3, 2), (10, 20, 30)).save(path)
    layer = VOCSegDataLayer(caffe_pb2.LayerParameter(name="data", type="Python"))
    layer.files = {"data": str(path)}
    layer.mean = (1, 2, 3)
    np.testing.assert_array_equal(layer.load_image("x")[:, 0, 0], [29, 18, 7])


def test_sbd(sbd):
    params = {"sbdd_dir": str(sbd), "split": "train", "mean": MEAN, "randomize": False}
    layer, blobs = build(SBDDSegDataLayer, params)
    for k, (id, (data, label)) in enumerate(zip(SIZES, visit(layer, blobs, 3))):
        np.testing.assert_array_equal(data, bgr_minus(sbd / f"img/{id}.jpg", MEAN))
        np.testing.assert_array_equal(label[0, 0], pattern(SIZES[id], [0, 3 + k, 20]))


def test_nyud_all_tops(nyud):
    tops = ["color", "depth", "hha", "label"]
    params = {"nyud_dir": str(nyud), "split": "test", "tops": tops, "seed": 1337}
    layer, blobs = build(NYUDSegDataLayer, params, tops=4)
    for k, (id, (color, depth, hha, label)) in enumerate(zip(SIZES, visit(layer, blobs, 3))):
        image = nyud / f"data/images/img_{id}.png"
        np.testing.assert_array_equal(color, bgr_minus(image, (116.190, 97.203, 92.318)))
        metres = pattern(SIZES[id], [700 + k, 2550, 9000 + k])
        np.testing.assert_allclose(depth[0, 0], np.log(metres) - 7.844, rtol=0, atol=2e-6)
        stored = np.array(Image.open(nyud / f"data/hha/img_{id}.png")).astype(np.float64)
        for channel, mean in enumerate((132.431, 94.076, 118.477)):
            expected = (stored[:, :, channel] - mean).astype(np.float32)
            np.testing.assert_array_equal(hha[0, channel], expected)
        np.testing.assert_array_equal(label[0, 0], pattern(SIZES[id], [255, 0, 39, 11 + k]))


def test_nyud_tops_in_the_order_asked(nyud):
    params = {"nyud_dir": str(nyud), "split": "test", "tops": ["label", "hha"]}
    layer, blobs = build(NYUDSegDataLayer, params)
    assert [blob.data.shape[1] for blob in blobs] == [1, 3]
    assert list(layer.tops) == ["label", "hha"]


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
    from fcn.datasets.pascalcontext import CLASSES

    for name in ("diningtable", "bedcloth", "clothes"):
        task = CLASSES.index(name)
        assert layer.table[7 * task] == task
    assert layer.table[1] == 0


def test_grey_and_transparent_pictures(voc):
    Image.new("L", (39, 47), 77).save(voc / "JPEGImages/b.jpg", quality=95)
    layer, _ = build(VOCSegDataLayer, voc_params(voc))
    expected = (77 - np.array(MEAN)).astype(np.float32)
    np.testing.assert_array_equal(layer.load_image("b")[:, 5, 5], expected)


def test_in_a_net(voc, tmp_path):
    """Through caffe.Net: the module found by name, tops reshaped to every picture."""
    param_str = repr(voc_params(voc)).replace("'", "\\'")
    (tmp_path / "net.prototxt").write_text(
        "layer { name: 'data' type: 'Python' top: 'data' top: 'label' python_param {"
        f" module: 'voc_layers' layer: 'VOCSegDataLayer' param_str: '{param_str}' }} }}"
        "layer { name: 'twice' type: 'Power' bottom: 'data' top: 'twice' power_param { scale: 2 } }"
    )
    net = caffe.Net(str(tmp_path / "net.prototxt"), caffe.TEST)
    for id in [*SIZES, "a"]:
        net.forward()
        expected = bgr_minus(voc / f"JPEGImages/{id}.jpg", MEAN)
        np.testing.assert_array_equal(net.blobs["data"].data, expected)
        np.testing.assert_array_equal(net.blobs["twice"].data, 2 * expected)
        assert net.blobs["label"].data.shape == (1, 1, *SIZES[id])
    assert net.layers[0].indices == list(SIZES)


# Order


def test_order_of_seed_1337():
    """Python 2.7's random.seed(1337); random.randint(0, 8497), five times."""
    layer = VOCSegDataLayer(caffe_pb2.LayerParameter(name="data", type="Python"))
    layer.rng, layer.indices = random.Random(1337), range(8498)
    assert [layer.draw() for _ in range(5)] == [5249, 4531, 3108, 4978, 1408]


def test_order_while_running(voc):
    """Drawn once at set-up and once a forward: neither reshapes nor reading ahead draw."""
    layer, blobs = build(VOCSegDataLayer, voc_params(voc, split="train"))
    rng = random.Random(1337)
    expected = [int(rng.random() * 3) for _ in range(12)]
    widths = []
    for _ in expected:
        for _ in range(3):
            layer.reshape([], blobs)
        layer.forward([], blobs)
        widths.append(blobs[0].data.shape[3])
    assert widths == [list(SIZES.values())[i][1] for i in expected]
    assert len(set(expected)) == 3


@pytest.mark.parametrize(
    "more", [{"split": "train", "randomize": False}, {"split": "seg11valid", "randomize": True}]
)
def test_in_file_order_unless_training(voc, more):
    layer, blobs = build(VOCSegDataLayer, voc_params(voc, **more))
    widths = [data.shape[3] for data, _ in visit(layer, blobs, 7)]
    assert widths == [83, 39, 101, 83, 39, 101, 83]


def test_idx_set_by_hand(voc):
    layer, blobs = build(VOCSegDataLayer, voc_params(voc))
    layer.idx = 2
    assert [data.shape[3] for data, _ in visit(layer, blobs, 2)] == [101, 83]


def test_next_picture_is_read_while_the_net_computes(voc):
    layer, blobs = build(VOCSegDataLayer, voc_params(voc))
    threads = []
    load = layer.load_image
    layer.load_image = lambda id: threads.append(threading.current_thread()) or load(id)
    layer.forward([], blobs)
    deadline = time.time() + 10
    while not threads and time.time() < deadline:
        time.sleep(0.001)  # the net computes; nobody has asked for the next picture yet
    assert threads and threads[0] is not threading.main_thread()
    layer.reshape([], blobs)
    assert len(threads) == 1 and blobs[0].data.shape[3] == 39


def test_a_failure_in_the_thread_belongs_to_its_picture(voc):
    layer, blobs = build(VOCSegDataLayer, voc_params(voc))
    (voc / "JPEGImages/b.jpg").write_bytes(b"not a picture")
    layer.forward([], blobs)  # reads b ahead
    with pytest.raises(ValueError, match=r"b\.jpg: not a readable picture"):
        layer.reshape([], blobs)
    layer.idx = 2
    layer.reshape([], blobs)
    assert blobs[0].data.shape[3] == 101


def test_threads_end_with_their_layer(voc):
    before = set(threading.enumerate())
    layer, blobs = build(VOCSegDataLayer, voc_params(voc))
    layer.forward([], blobs)
    mine = set(threading.enumerate()) - before
    assert len(mine) == 1
    del layer
    gc.collect()
    for thread in mine:
        thread.join(10)
        assert not thread.is_alive()


# Bad input


def fails(kind, params, error, *words, tops=2):
    with pytest.raises(error) as raised:
        build(kind, params, tops=tops)
    for word in words:
        assert word in str(raised.value)


def test_no_data_set(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    params = voc_params("../data/nowhere/VOC2011")
    here = str(tmp_path.parent / "data/nowhere/VOC2011")
    there = str(layer_module.WORK / "data/nowhere/VOC2011")
    fails(VOCSegDataLayer, params, FileNotFoundError, here, there, "data/voc/README.md")
    (tmp_path / "voc-x").mkdir()
    monkeypatch.chdir(tmp_path / "voc-x")  # a model's folder: both are one, and named once
    monkeypatch.setattr(layer_module, "WORK", tmp_path)
    once = f"no folder {tmp_path / 'data/nowhere/VOC2011'}\n"
    fails(VOCSegDataLayer, params, FileNotFoundError, once)


def test_folder_from_cwd_first_then_beside_the_modules(voc, tmp_path, monkeypatch):
    monkeypatch.setattr(layer_module, "WORK", tmp_path)
    (tmp_path / "model").mkdir()
    monkeypatch.chdir(tmp_path / "model")
    layer, _ = build(VOCSegDataLayer, voc_params("../VOC2011"))
    assert layer.voc_dir.samefile(voc)
    monkeypatch.chdir("/")
    layer, _ = build(VOCSegDataLayer, voc_params("../VOC2011"))
    assert layer.voc_dir.samefile(voc)


def test_no_split(voc):
    path = str(voc / "ImageSets/Segmentation/other.txt")
    fails(VOCSegDataLayer, voc_params(voc, split="other"), FileNotFoundError, path, "README.md")


def test_split_under_the_name_of_the_originals_scripts(voc):
    layer, _ = build(VOCSegDataLayer, voc_params(voc, split="segvalid11"))
    assert layer.indices == list(SIZES)


def test_empty_split(voc):
    text(voc / "ImageSets/Segmentation/none.txt")
    fails(VOCSegDataLayer, voc_params(voc, split="none"), ValueError, "names no picture")


def test_every_missing_file_is_told(voc):
    ids = [f"gone{i:02}" for i in range(15)]
    text(voc / "ImageSets/Segmentation/seg11valid.txt", "a", *ids)
    params = voc_params(voc)
    words = [f"gone{i:02}.{end}" for i in range(15) for end in ("jpg", "png")]
    words += ["30 files", "data/voc/README.md"]
    fails(VOCSegDataLayer, params, FileNotFoundError, *words)
    text(voc / "ImageSets/Segmentation/seg11valid.txt", *SIZES)
    (voc / "SegmentationClass/b.png").unlink()
    fails(VOCSegDataLayer, params, FileNotFoundError, "1 files", "b.png")


def test_rgb_label(voc):
    Image.new("RGB", (83, 61)).save(voc / "SegmentationClass/a.png")
    fails(VOCSegDataLayer, voc_params(voc), ValueError, "a.png", "RGB", "palette")


def test_label_out_of_range(voc):
    palette_png(voc / "SegmentationClass/a.png", pattern((61, 83), [0, 21, 94, 255]))
    fails(VOCSegDataLayer, voc_params(voc), ValueError, "a.png", "21, 94", "0 to 20")
    build(VOCSegDataLayer, voc_params(voc, classes=95))  # a set of one's own


@pytest.mark.parametrize("values", [[0, 1, 41], [1, 257], [0, -3]])
def test_mat_label_out_of_range(nyud, values):
    labels = pattern(SIZES["a"], values).astype(np.int16)
    mat(nyud / "segmentation/img_a.mat", segmentation=labels)
    params = {"nyud_dir": str(nyud), "split": "test", "tops": ["color", "label"]}
    fails(NYUDSegDataLayer, params, ValueError, "img_a.mat", str(values[-1]), "0 to 40")


def test_context_label_nobody_named(context):
    labels = pattern(SIZES["a"], [1, 460]).astype(np.uint16)
    mat(context / "pascal-context/trainval/a.mat", LabelMap=labels)
    params = {"voc_dir": str(context / "pascal"), "context_dir": str(context / "pascal-context")}
    fails(PASCALContextSegDataLayer, params | {"split": "val"}, ValueError, "a.mat", "460")


def test_sizes_differ(voc):
    palette_png(voc / "SegmentationClass/a.png", np.zeros((60, 83)))
    fails(VOCSegDataLayer, voc_params(voc), ValueError, "a: sizes", "61x83", "60x83")


def test_no_hha(nyud):
    for path in (nyud / "data/hha").iterdir():
        path.unlink()
    (nyud / "data/hha").rmdir()
    params = {"nyud_dir": str(nyud), "split": "test", "tops": ["hha", "label"]}
    fails(NYUDSegDataLayer, params, FileNotFoundError, "HHA", "data/hha", "data/nyud/README.md")
    build(NYUDSegDataLayer, params | {"tops": ["color", "label"]})


@pytest.mark.parametrize(
    "values, word",
    [([2, 3, 1], "millimetres"), ([250, 190], "millimetres"), ([25500, 19000], "millimetres"),
     ([1500, 0], "0 at")],
)  # fmt: skip
def test_wrong_depth(nyud, values, word):
    depth = pattern(SIZES["a"], values).astype(np.uint16)
    Image.fromarray(depth).save(nyud / "data/depth/img_a.png")
    params = {"nyud_dir": str(nyud), "split": "test", "tops": ["depth", "label"]}
    fails(NYUDSegDataLayer, params, ValueError, "img_a.png", word)


@pytest.mark.parametrize(
    "path, content, word",
    [
        ("segmentation/img_a.mat", b"MATLAB 5.0, cut short", "not a readable .mat file"),
        (
            "segmentation/img_a.mat",
            {"other": np.zeros(3)},
            "no variable 'segmentation' (it has other)",
        ),
        ("data/images/img_a.png", b"", "not a readable picture"),
    ],
)
def test_broken_files(nyud, path, content, word):
    if isinstance(content, bytes):
        (nyud / path).write_bytes(content)
    else:
        mat(nyud / path, **content)
    params = {"nyud_dir": str(nyud), "split": "test", "tops": ["color", "label"]}
    fails(NYUDSegDataLayer, params, ValueError, path, word)


@pytest.mark.parametrize(
    "params, error, word",
    [
        ("{'split': 'val'", ValueError, "not a Python literal"),
        ("__import__('os').getcwd()", ValueError, "not a Python literal"),
        ("", ValueError, "must be a dict"),
        ("[1, 2]", ValueError, "must be a dict"),
        ("{'split': 'val', 'mean': (1, 2, 3)}", KeyError, "lacks voc_dir (it has split, mean)"),
    ],
)
def test_param_str(params, error, word):
    fails(VOCSegDataLayer, params, error, word)


@pytest.mark.parametrize("mean", [(1, 2), "grey", (1, 2, 3, 4)])
def test_mean(voc, mean):
    params = voc_params(voc) | {"mean": mean}
    fails(VOCSegDataLayer, params, ValueError, "three numbers", repr(mean))


def test_number_of_blobs(voc, nyud):
    fails(VOCSegDataLayer, voc_params(voc), ValueError, "2 tops (data, label), got 3", tops=3)
    with pytest.raises(ValueError, match="takes no bottom, got 1"):
        build(VOCSegDataLayer, voc_params(voc), bottoms=[Top()])
    params = {"nyud_dir": str(nyud), "split": "test", "tops": ["colour", "label"]}
    fails(NYUDSegDataLayer, params, ValueError, "color, depth, hha, label", "colour")
