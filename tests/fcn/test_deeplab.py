"""DeepLab's nets: as released, aligned with the picture, and started from VGG-16; their lists of labels."""

import numpy as np
import pytest
import trees
from google.protobuf import text_format
from PIL import Image
from places import ROOT
from released_systems import deeplab_v2_layers, parse

import caffe
from caffe.proto import caffe_pb2
from fcn import deeplab
from fcn.datasets.lists import write_list
from fcn.prototxts import deploy, read_net

SYSTEMS = ROOT / "systems"
AROUND = ("data", "silence", "loss", "accuracy")


def test_v2_trains_the_released_net_message_for_message():
    found, wanted = read_net(SYSTEMS / "deeplab-v2/train.prototxt"), parse(deeplab_v2_layers())
    layers = [layer for layer in found.layer if layer.name not in AROUND]
    assert [layer.name for layer in layers] == [layer.name for layer in wanted.layer]
    for layer, want in zip(layers, wanted.layer):
        assert layer == want


def test_v2_reads_and_loses_as_released():
    """Batches of 10 crops of 321, mirrored, and the loss on shrunken labels; our data, our mean's digits."""
    layers = {layer.name: layer for layer in read_net(SYSTEMS / "deeplab-v2/train.prototxt").layer}
    data, loss = layers["data"], layers["loss"]
    assert (data.type, list(data.top)) == ("ImageSegData", ["data", "label", "data_dim"])
    assert data.transform_param.crop_size == 321 and data.transform_param.mirror
    np.testing.assert_allclose(
        data.transform_param.mean_value, (104.008, 116.669, 122.675), atol=0.01
    )
    own = data.image_data_param
    assert (own.batch_size, own.shuffle, own.label_type) == (10, True, own.PIXEL)
    assert list(loss.bottom) == list(layers["accuracy"].bottom) == ["fc8_voc12", "label_shrink"]
    assert loss.loss_param.ignore_label == 255
    assert list(layers["accuracy"].seg_accuracy_param.ignore_label) == [255]


def test_largefov_has_one_head_whose_hole_is_12():
    """Written in version 1's words, as released: its `hole` is our dilation."""
    v1 = """layers { name: "pool5a" type: POOLING bottom: "pool5" top: "pool5a"
            pooling_param { pool: AVE kernel_size: 3 stride: 1 pad: 1 } }
        layers { name: "fc6" type: CONVOLUTION bottom: "pool5a" top: "fc6" blobs_lr: 1 blobs_lr: 2
            weight_decay: 1 weight_decay: 0
            convolution_param { num_output: 1024 pad: 12 kernel_size: 3 hole: 12 } }"""
    wanted = caffe.upgrade_net(text_format.Parse(v1, caffe_pb2.NetParameter()), "released")
    found = {
        layer.name: layer for layer in read_net(SYSTEMS / "deeplab-largefov/train.prototxt").layer
    }
    for want in wanted.layer:
        assert found[want.name] == want
    assert list(found["fc8_voc12"].bottom) == ["fc7"]
    assert [each.lr_mult for each in found["fc8_voc12"].param] == [10, 20]


@pytest.mark.parametrize("power, policy", [("deeplab-v2", "poly"), ("deeplab-largefov", "step")])
def test_rates_fall_as_released(power, policy):
    solver = caffe_pb2.SolverParameter()
    text_format.Parse((SYSTEMS / power / "solver.prototxt").read_text(), solver)
    assert solver.lr_policy == policy and solver.base_lr == pytest.approx(1e-3)
    if policy == "poly":
        assert solver.power == pytest.approx(0.9) and solver.max_iter == 20000
    else:
        assert (solver.stepsize, solver.max_iter) == (2000, 6000)
        assert solver.gamma == pytest.approx(0.1)


# ---- places


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """The embedded task's LargeFOV, for pictures alone."""
    path = tmp_path_factory.mktemp("net") / "deploy.prototxt"
    net = deploy(read_net(SYSTEMS / "deeplab-largefov/sample/val.prototxt"))
    path.write_text(text_format.MessageToString(net))
    return caffe.Net(str(path), caffe.TEST)


@pytest.mark.parametrize("size", [(1, 1), (17, 33), (40, 31), (24, 26)])
def test_scores_are_there_for_every_pixel(small, size):
    small.blobs["data"].reshape(1, 3, *size)
    small.forward()
    assert small.blobs["score"].data.shape == (1, 11, *size)
    cells = small.blobs["fc8_voc12"].data.shape[2:]
    assert [8 * (n - 1) + 1 >= side for n, side in zip(cells, size)] == [True, True]


def test_a_cell_is_the_score_of_the_pixel_that_its_label_is_taken_from(small):
    small.blobs["data"].reshape(1, 3, 33, 41)
    small.params["fc8_voc12"][0].data[...] = np.random.RandomState(0).normal(size=(11, 512, 1, 1))
    small.blobs["data"].data[...] = np.random.RandomState(1).normal(0, 50, (1, 3, 33, 41))
    for name in small.params:
        if name != "fc8_voc12":
            small.params[name][0].data[...] = np.random.RandomState(2).normal(
                0, (2 / small.params[name][0].data[0].size) ** 0.5, small.params[name][0].data.shape
            )
    small.forward()
    cells = small.blobs["fc8_voc12"].data
    assert cells.std() > 0
    np.testing.assert_allclose(
        small.blobs["score"].data[..., ::8, ::8], cells, rtol=1e-5, atol=1e-5
    )


# ---- the start


def test_kernels_keep_their_corners_and_middle():
    values = np.arange(2 * 2 * 7 * 7.0).reshape(2, 2, 7, 7)
    found = deeplab.fewer(values, (2, 1, 3, 3))
    assert np.array_equal(found[:, 0], values[:, 0, ::3, ::3])
    even = np.arange(16.0).reshape(1, 1, 4, 4)
    wanted = [[0, 1.5, 3], [6, 7.5, 9], [12, 13.5, 15]]
    assert np.array_equal(deeplab.fewer(even, (1, 1, 3, 3))[0, 0], wanted)


class Blob:
    def __init__(self, data):
        self.data = data


class Net:
    def __init__(self, **shapes):
        rng = np.random.RandomState(0)
        self.params = {
            name: [Blob(rng.normal(size=shape)), Blob(rng.normal(size=shape[0]))]
            for name, shape in shapes.items()
        }


def test_starts_from_vgg16():
    """A flat input gives fc6 what it gave there, in a fourth of its channels, another in each head."""
    vgg16 = Net(conv1_1=(4, 3, 3, 3), fc6=(8, 4, 7, 7), fc7=(8, 8, 1, 1))
    for values in vgg16.params["fc6"][0].data.reshape(-1, 7, 7):
        values[...] = values[0, 0]
    net = Net(
        conv1_1=(4, 3, 3, 3),
        **{f"fc6_{i}": (2, 4, 3, 3) for i in (1, 2)},
        **{f"fc7_{i}": (2, 2, 1, 1) for i in (1, 2)},
        **{f"fc8_voc12_{i}": (5, 2, 1, 1) for i in (1, 2)},
    )
    scores = net.params["fc8_voc12_1"][0].data.copy()
    deeplab.start_from_vgg16(net, vgg16)
    assert np.array_equal(net.params["conv1_1"][0].data, vgg16.params["conv1_1"][0].data)
    assert np.array_equal(net.params["fc8_voc12_1"][0].data, scores)
    for i in (1, 2):
        weights, bias = (blob.data for blob in net.params[f"fc6_{i}"])
        wanted = vgg16.params["fc6"][0].data[i - 1 :: 4].sum((1, 2, 3))
        np.testing.assert_allclose(weights.sum((1, 2, 3)), wanted)
        assert np.array_equal(bias, vgg16.params["fc6"][1].data[i - 1 :: 4])
        wanted = 4 * vgg16.params["fc7"][0].data[i - 1 :: 4, i - 1 :: 4]
        np.testing.assert_allclose(net.params[f"fc7_{i}"][0].data, wanted)


# ---- lists


def test_lists_pictures_and_labels(tmp_path):
    sizes = {"a": (13, 9), "b": (7, 11)}
    for k, (id, size) in enumerate(sizes.items()):
        trees.picture(size, k, tmp_path / f"img/{id}.jpg")
        labels = trees.pattern(size, [0, 5, 20]).astype(np.uint8)
        gt = np.zeros((1, 1), [("Segmentation", "O")])
        gt[0, 0]["Segmentation"] = labels
        trees.mat(tmp_path / f"cls/{id}.mat", GTcls=gt)
    trees.text(tmp_path / "train.txt", "a", "b")
    write_list(tmp_path, "train", tmp_path / "list.txt")
    lines = (tmp_path / "list.txt").read_text().splitlines()
    assert lines == ["img/a.jpg cls-png/a.png", "img/b.jpg cls-png/b.png"]
    with Image.open(tmp_path / "cls-png/b.png") as image:
        assert np.array_equal(np.asarray(image), trees.pattern(sizes["b"], [0, 5, 20]))


def test_a_list_without_data_is_none(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"train.txt"):
        write_list(tmp_path, "train", tmp_path / "list.txt")
    assert not (tmp_path / "list.txt").exists()
