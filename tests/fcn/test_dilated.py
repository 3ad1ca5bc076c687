"""Dilation's nets: as released, their sizes, and a context module that begins as the identity."""

import numpy as np
import pytest
from google.protobuf import text_format
from places import ROOT
from released_systems import DILATION, dilation, parse

import caffe
from caffe import layers as L
from caffe.kernels.convolution import KERNELS
from caffe.proto import caffe_pb2
from fcn import identity
from fcn.dilated import LARGE, basic, context, front_end, margin, score_of_pixels
from fcn.prototxts import read_net


@pytest.mark.parametrize("name", DILATION)
def test_the_deploy_net_is_the_released_one_message_for_message(name):
    text = (ROOT / "systems" / f"{name}_deploy.prototxt").read_text()
    found = text_format.Parse(text, caffe_pb2.NetParameter())
    wanted = parse(dilation(*DILATION[name]))
    assert [layer.name for layer in found.layer] == [layer.name for layer in wanted.layer]
    for layer, want in zip(found.layer, wanted.layer):
        assert layer == want
    assert found == wanted


def built(n, tmp_path, phase=caffe.TEST):
    """The net of a NetSpec."""
    path = tmp_path / "net.prototxt"
    path.write_text(str(n.to_proto()))
    return caffe.Net(str(path), phase)


@pytest.mark.parametrize("fc6, cells", [(7, 1), (4, 2)])
def test_the_front_end_takes_its_margin_and_leaves_a_cell_for_eight_pixels(fc6, cells, tmp_path):
    n = caffe.NetSpec()
    side = 2 * margin(fc6) + 8 * cells
    n.data = L.Input(shape=dict(dim=[1, 3, side, side + 8]))
    front_end(n, n.data, 3, narrow=64, fc6=fc6)
    assert built(n, tmp_path).blobs["final"].data.shape == (1, 3, cells, cells + 1)
    assert margin(7) == 186  # (900 - 66 x 8) / 2, as published


def learned(path):
    """Name -> (outputs, kernel, dilation, rates) of each convolution of a prototxt."""
    return {
        layer.name: (
            layer.convolution_param.num_output,
            list(layer.convolution_param.kernel_size),
            list(layer.convolution_param.dilation),
            [param.lr_mult for param in layer.param],
        )
        for layer in read_net(path).layer
        if layer.type == "Convolution"
    }


def test_released_weights_fit_and_the_front_end_learns_no_more():
    folder = ROOT / "systems/dilation"
    own = learned(folder / "val.prototxt")
    released = learned(folder / "dilation8_pascal_voc_deploy.prototxt")
    assert {name: each[:3] for name, each in own.items()} == {
        name: each[:3] for name, each in released.items()
    }
    for name, (*_, rates) in learned(folder / "train.prototxt").items():
        assert rates == ([1, 2] if name.startswith("ct_") else [0, 0]), name


def test_scores_of_pixels_are_those_of_the_published_test(tmp_path):
    """Mirror, run the deploy net, interpolate probabilities between each eighth pixel, cut."""
    caffe.set_random_seed(3)
    nets = []
    picture = np.random.RandomState(0).normal(0, 50, (1, 3, 40, 61)).astype(np.float32)
    padded = np.pad(picture, ((0, 0), (0, 0), (90, 112 - 40 + 50), (90, 112 - 61 + 50)), "reflect")
    filler = dict(weight_filler=dict(type="msra"), bias_filler=dict(type="gaussian", std=0.1))
    for data in (picture, padded):
        n = caffe.NetSpec()
        n.data = L.Input(shape=dict(dim=list(data.shape)))
        bottom = n.data
        if data is picture:
            params = repr(dict(margin=margin(1), cell=8, least=9))
            module, layer = "fcn.reflection", "ReflectionPadding"
            bottom = n.mirrored = L.Python(bottom, module=module, layer=layer, param_str=params)
        x = front_end(n, bottom, 4, narrow=16, fc6=1, **filler)
        x = context(n, x, 4, basic(5), **filler)
        (score_of_pixels if data is picture else softmax)(n, x)
        nets.append(built(n, tmp_path))
        nets[-1].blobs["data"].data[...] = data
    for name, blobs in nets[0].params.items():
        for own, other in zip(blobs, nets[1].params[name]):
            other.data[...] = own.data
    found, prob = nets[0].forward()["score"][0], nets[1].forward()["prob"][0]
    assert prob.shape == (4, 9, 9) and prob.std() > 0.01
    for y, x in ((0, 0), (8, 16), (13, 27), (39, 60)):
        (r, down), (c, right) = divmod(y, 8), divmod(x, 8)
        upper, lower = (
            (1 - right / 8) * row[:, c] + right / 8 * row[:, c + 1]
            for row in (prob[:, r], prob[:, r + 1])
        )
        wanted = (1 - down / 8) * upper + down / 8 * lower
        np.testing.assert_allclose(found[:, y, x], wanted, rtol=1e-4, atol=1e-5)


def softmax(n, scores):
    n.prob = L.Softmax(scores)


CLASSES = 3
MODULES = [LARGE, basic(5), basic(8)]


def fronted(module, tmp_path):
    """A net of a 1x1 "front end" and a context module, and the front end alone, filled at random."""
    caffe.set_random_seed(5)
    nets = []
    for modules in ([module], []):
        n = caffe.NetSpec()
        n.data = L.Input(shape=dict(dim=[2, 4, 9, 7]))
        n.final = L.Convolution(
            n.data, num_output=CLASSES, kernel_size=1, weight_filler=dict(type="gaussian", std=1)
        )
        for each in modules:
            context(n, n.final, CLASSES, each)
        nets.append(built(n, tmp_path))
    net, front = nets
    for each in nets:
        each.blobs["data"].data[...] = np.random.RandomState(1).normal(0, 3, (2, 4, 9, 7))
    return net, front


@pytest.mark.parametrize("module", MODULES, ids=["large", "basic 5", "basic 8"])
def test_the_module_begins_as_the_identity(module, tmp_path):
    """The classes are the same; a kernel that transforms (Winograd) rounds scores in the seventh digit."""
    net, front = fronted(module, tmp_path)
    identity.start_as_identity(net, front)
    net.forward(), front.forward()
    wanted, found = front.blobs["final"].data, net.blobs[f"{module.prefix}_final"].data
    assert wanted.min() < 0 < wanted.max()
    raised = 0 if module is LARGE else 2.0 ** np.ceil(np.log2(-wanted.min()))
    np.testing.assert_allclose(found - raised, wanted, rtol=0, atol=2e-5)
    assert np.array_equal(found.argmax(1), wanted.argmax(1))


def test_the_large_module_begins_as_the_identity_bit_for_bit(tmp_path, monkeypatch):
    """With the kernel that adds up products as they are."""
    monkeypatch.setitem(KERNELS, "forward", KERNELS["forward"][-1:])
    net, front = fronted(LARGE, tmp_path)
    identity.start_as_identity(net, front)
    net.forward(), front.forward()
    assert np.array_equal(net.blobs["ct_final"].data, front.blobs["final"].data)


def test_the_published_start_loses_scores_below_zero(tmp_path):
    net, front = fronted(basic(5), tmp_path)
    identity.start_as_identity(net, front)
    net.params["ctx_conv1_1"][1].data[...] = 0
    net.forward(), front.forward()
    lost = np.maximum(front.blobs["final"].data, 0)
    np.testing.assert_allclose(net.blobs["ctx_final"].data, lost, atol=2e-5)


def test_every_channel_of_the_large_module_can_learn(tmp_path):
    """Those that begin at random are read by nothing yet, but the last layer's weights on them move."""
    net, front = fronted(LARGE, tmp_path)
    identity.start_as_identity(net, front)
    net.forward()
    carried, rest = np.split(net.blobs["ct_fc1"].data, [2 * CLASSES], axis=1)
    assert rest.any() and carried.any()
    assert not net.params["ct_final"][0].data[:, 2 * CLASSES :].any()
