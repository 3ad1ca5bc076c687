"""Receptive fields against the pixels that an output's gradient reaches."""

import numpy as np
import pytest
from places import ROOT

import caffe
from caffe import layers as L
from caffe import params as P
from fcn import models, prototxts
from fcn.explain.coordinates import layers_and_tops, position_map
from fcn.explain.fields import ALL, UNKNOWN, Field, fields
from fcn.explain.windows import HEIGHT, WIDTH

SIZE = 96


def conv(below, **settings):
    return L.Convolution(below, num_output=1, bias_term=False, **settings)


def deconv(below, **settings):
    return L.Deconvolution(below, convolution_param=dict(num_output=1, bias_term=False, **settings))


def pool(below, **settings):
    return L.Pooling(below, pool=P.Pooling.AVE, **settings)


def add_dilated(n):
    n.a = conv(n.data, kernel_size=3, dilation=4, pad=2)
    n.b = pool(n.a, kernel_size=3, stride=2)
    n.c = conv(n.b, kernel_size=2, dilation=3, stride=3)


def add_fused(n):
    """A skip from a pooling, as in FCN-16s, and one from the picture that sees less."""
    n.a = pool(conv(n.data, kernel_size=3, pad=9), kernel_size=2, stride=2)
    n.b = pool(conv(n.a, kernel_size=5, pad=2), kernel_size=2, stride=2)
    n.up = deconv(n.b, kernel_size=4, stride=2, pad=2)
    n.skip = L.Crop(n.a, n.up, axis=2, offset=[1])
    n.fused = L.Eltwise(n.up, n.skip)
    n.large = deconv(n.fused, kernel_size=4, stride=2, pad=8)
    n.near = L.Crop(n.data, n.large, axis=2, offset=[2])
    n.both = L.Concat(n.large, n.near)
    n.last = conv(n.both, kernel_size=3, stride=2)


def add_holes(n):
    """Deconvolutions whose kernels do not cover all outputs, and dilated ones."""
    n.a = conv(n.data, kernel_size=3, stride=2)
    n.b = deconv(n.a, kernel_size=2, stride=3)
    n.c = deconv(n.a, kernel_size=3, stride=2, dilation=2, pad=1)
    n.d = conv(n.c, kernel_size=2, stride=3)


def add_normalized(n):
    n.a = conv(n.data, kernel_size=3, stride=2)
    n.b = L.LRN(n.a, local_size=5, lrn_param=dict(norm_region=1, alpha=50.0))
    n.c = L.LRN(n.a, local_size=5)
    n.d = L.Im2col(n.a, convolution_param=dict(kernel_size=4, pad=1))


def add_by_axis(n):
    n.a = conv(n.data, kernel_h=1, kernel_w=5, stride_h=2, stride_w=1, pad_h=0, pad_w=2)
    n.b = pool(n.a, kernel_h=3, kernel_w=2, stride_h=1, stride_w=2)
    n.c = deconv(n.b, kernel_h=2, kernel_w=6, stride_h=1, stride_w=3)


@pytest.mark.parametrize("add", [add_dilated, add_fused, add_holes, add_normalized, add_by_axis])
def test_each_output_sees_the_pixels_that_its_gradient_reaches(add, net_of):
    n = caffe.NetSpec()
    n.data = L.Input(shape=dict(dim=[1, 1, SIZE, SIZE]))
    add(n)
    param = n.to_proto()
    net = net_of(f"force_backward: true\n{param}")
    for blobs in net.params.values():
        blobs[0].data[...] = 1 + np.random.RandomState(0).rand(*blobs[0].data.shape)
    net.blobs["data"].data[...] = np.random.RandomState(1).rand(1, 1, SIZE, SIZE)
    net.forward()
    for axis in (HEIGHT, WIDTH):
        found = fields(param.layer, axis)
        for layer in net.layers[1:]:
            if layer.type == "Split":
                continue
            top = layer.layer_param.top[0]
            length = net.blobs[top].shape[2 + axis]
            for i in range(length // 2 - 4, length // 2 + 4):  # more than a period of each
                assert reached(net, layer.name, top, axis, i) == clipped(found[top].at(i)), (top, i)


def reached(net, layer, top, axis, i):
    """(first, last) pixel along an axis with a gradient to outputs at place i; None if none has."""
    for blob in net.blobs.values():
        blob.diff[...] = 0
    at = [slice(None)] * 4
    at[2 + axis] = i
    at[3 - axis] = net.blobs[top].shape[3 - axis] // 2
    for k in range(2):  # the output before may be one that sees nothing, between two kernels
        at[3 - axis] += k
        net.blobs[top].diff[tuple(at)] = 1
    net.backward(start=layer)
    there = np.flatnonzero(net.blobs["data"].diff[0, 0].any(axis=1 - axis))
    return (there[0], there[-1]) if len(there) else None


def clipped(span):
    return span and (max(span[0], 0), min(span[1], SIZE - 1))


MODELS = ["voc-fcn32s", "voc-fcn8s", "voc-fcn-alexnet", "nyud-fcn32s-color-hha", "siftflow-fcn8s"]


@pytest.mark.parametrize("model", MODELS)
def test_they_lie_where_the_coordinate_map_says(model):
    net = prototxts.deploy(prototxts.read_net(models.prototxt_of(model)))
    found, tops = fields(net.layer, HEIGHT), layers_and_tops(net)
    pictures = [top for layer, top in tops if not layer.bottom]
    compared = 0
    for layer, top in tops:
        place = next(filter(None, (position_map(top, picture) for picture in pictures)), None)
        if place:
            field = found[layer.top[0]]
            assert (float(field.apart), float(field.begin)) == place, layer.name
            compared += 1
    assert compared > 20


def test_fields_of_the_published_nets():
    """VGG-16's are in its tables everywhere; FCN-8s's skips see less, and its score as far as all."""
    net = prototxts.deploy(prototxts.read_net(ROOT / "voc-fcn8s/val.prototxt"))
    found = fields(net.layer, HEIGHT)
    sizes = {
        name: found[name].size for name in ("conv1_1", "pool3", "pool4", "pool5", "fc7", "score")
    }
    assert sizes == {
        "conv1_1": 3, "pool3": 44, "pool4": 100, "pool5": 212, "fc7": 404, "score": 468
    }  # fmt: skip


def test_what_reads_whole_maps_sees_all():
    n = caffe.NetSpec()
    n.data = L.Input(shape=dict(dim=[1, 3, 20, 20]))
    n.a = L.Convolution(n.data, num_output=2, kernel_size=3)
    n.pooled = L.Pooling(n.a, global_pooling=True)
    n.ip = L.InnerProduct(n.a, num_output=2)
    n.best = L.ArgMax(n.a)
    n.best_class = L.ArgMax(n.a, axis=1)
    n.flat = L.Flatten(n.a)
    n.scaled = L.Scale(n.a, n.pooled, axis=0)
    n.train = L.BatchNorm(n.a, use_global_stats=False)
    n.test = L.BatchNorm(n.a)
    n.wide = L.Concat(n.a, n.a, axis=3)
    n.after = L.ReLU(n.wide)
    n.python = L.Python(n.a, module="m", layer="M")
    n.conv = L.Convolution(n.pooled, num_output=2, kernel_size=1)
    found = fields(n.to_proto().layer, HEIGHT)
    for name in ("pooled", "ip", "best", "scaled", "train", "conv"):
        assert found[name] == ALL, name
    for name in ("flat", "wide", "after", "python"):
        assert found[name] == UNKNOWN, name
    for name in ("best_class", "test"):
        assert found[name] == found["a"] == Field(1, ((0, 2),)), name


def test_maps_of_different_scales_cannot_be_placed_together():
    n = caffe.NetSpec()
    n.data = L.Input(shape=dict(dim=[1, 3, 20, 20]))
    n.a = L.Pooling(n.data, kernel_size=2, stride=2)
    n.b = L.Eltwise(n.a, n.data)
    assert fields(n.to_proto().layer, HEIGHT)["b"] == UNKNOWN
