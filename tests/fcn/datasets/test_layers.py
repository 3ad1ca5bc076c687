"""The data layers against a straightforward reading of small trees in the sets' real formats."""

import gc
import random
import threading
import time

import numpy as np
import pytest
from datasets import (
    MEAN,
    SCENES,
    SIZES,
    bgr_minus,
    build,
    pattern,
    visit,
    voc_params,
)
from PIL import Image

import caffe
from caffe.proto import caffe_pb2
from fcn.datasets.nyud import NYUDSegDataLayer
from fcn.datasets.pascalcontext import PASCALContextSegDataLayer
from fcn.datasets.siftflow import SIFTFlowSegDataLayer
from fcn.datasets.voc import SBDDSegDataLayer, VOCSegDataLayer

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
