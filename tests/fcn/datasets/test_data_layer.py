"""What all data layers share: the order of pictures, reading ahead, and bad input."""

import gc
import random
import threading
import time

import numpy as np
import pytest
from PIL import Image
from trees import (
    MEAN,
    SIZES,
    Top,
    bgr_minus,
    build,
    fails,
    mat,
    palette_png,
    pattern,
    text,
    visit,
    voc_params,
)

import caffe
from caffe.proto import caffe_pb2
from fcn import places
from fcn.datasets.nyud import NYUDSegDataLayer
from fcn.datasets.voc import VOCSegDataLayer


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


# ---- order


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


# ---- bad input


def test_no_data_set(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    params = voc_params("../data/nowhere/VOC2011")
    here = str(tmp_path.parent / "data/nowhere/VOC2011")
    there = str(places.HOME / "data/nowhere/VOC2011")
    fails(VOCSegDataLayer, params, FileNotFoundError, here, there, "data/voc/README.md")
    (tmp_path / "voc-x").mkdir()
    monkeypatch.chdir(tmp_path / "voc-x")  # a model's folder: both are one, and named once
    monkeypatch.setattr(places, "HOME", tmp_path)
    once = f"no folder {tmp_path / 'data/nowhere/VOC2011'}\n"
    fails(VOCSegDataLayer, params, FileNotFoundError, once)


def test_folder_from_cwd_first_then_beside_the_modules(voc, tmp_path, monkeypatch):
    monkeypatch.setattr(places, "HOME", tmp_path)
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


def test_empty_split(voc):
    text(voc / "ImageSets/Segmentation/none.txt")
    fails(VOCSegDataLayer, voc_params(voc, split="none"), ValueError, "names no picture")


def test_missing_files_are_counted_and_the_first_are_named(voc):
    ids = [f"gone{i:02}" for i in range(15)]
    text(voc / "ImageSets/Segmentation/seg11valid.txt", "a", *ids)
    params = voc_params(voc)
    words = [
        "30 files",
        "gone00.jpg",
        "gone00.png",
        "gone02.jpg",
        "and 25 more",
        "data/voc/README.md",
    ]
    error = fails(VOCSegDataLayer, params, FileNotFoundError, *words)
    assert "gone03" not in error and len(error.splitlines()) == 7
    text(voc / "ImageSets/Segmentation/seg11valid.txt", *SIZES)
    (voc / "SegmentationClass/b.png").unlink()
    fails(VOCSegDataLayer, params, FileNotFoundError, "1 file of", "is not there", "b.png")


@pytest.mark.parametrize("values", [[0, 1, 41], [1, 257], [0, -3]])
def test_mat_label_out_of_range(nyud, values):
    labels = pattern(SIZES["a"], values).astype(np.int16)
    mat(nyud / "segmentation/img_a.mat", segmentation=labels)
    params = {"nyud_dir": str(nyud), "split": "test", "tops": ["color", "label"]}
    fails(NYUDSegDataLayer, params, ValueError, "img_a.mat", str(values[-1]), "0 to 40")


def test_sizes_differ(voc):
    palette_png(voc / "SegmentationClass/a.png", np.zeros((60, 83)))
    fails(VOCSegDataLayer, voc_params(voc), ValueError, "a: sizes", "61x83", "60x83")


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


def test_number_of_blobs(voc, nyud):
    fails(VOCSegDataLayer, voc_params(voc), ValueError, "2 tops (data, label), got 3", tops=3)
    with pytest.raises(ValueError, match="takes no bottom, got 1"):
        build(VOCSegDataLayer, voc_params(voc), bottoms=[Top()])
    params = {"nyud_dir": str(nyud), "split": "test", "tops": ["colour", "label"]}
    fails(NYUDSegDataLayer, params, ValueError, "color, depth, hha, label", "colour")
