"""Hypercolumns: the sum of the maps' scores is the score of the stacked column."""

import runpy

import numpy as np
from narrow import filled
from places import ROOT

import caffe
from caffe import layers as L
from caffe.coord_map import crop
from fcn import surgery
from fcn.nets import FIXED, score
from fcn.tasks import SYSTEM_SAMPLE

NET = runpy.run_path(str(ROOT / "systems/hypercolumn/net.py"))


def column(n, data):
    """The maps themselves, enlarged and stacked, and one classifier of all."""
    channels = {"drop7": 512, "relu4_3": 64, "pool2": 16}  # of the small net
    maps = []
    for blob, stride in NET["STRIDES"].items():
        size = dict(kernel_size=2 * stride, stride=stride, bias_term=False)
        settings = dict(num_output=channels[blob], group=channels[blob], **size)
        enlarged = L.Deconvolution(n[blob], convolution_param=settings, param=FIXED)
        n[f"enlarged_{blob}"] = enlarged
        n[f"cropped_{blob}"] = crop(enlarged, data)
        maps.append(n[f"cropped_{blob}"])
    n.column = L.Concat(*maps)
    n.score_of_column = score(n.column, SYSTEM_SAMPLE.classes)


def test_the_sum_of_scores_is_the_score_of_the_column(tmp_path):
    n = caffe.NetSpec()
    n.data = L.Input(shape=dict(dim=[1, 3, 40, 52]))
    NET["vgg16"](n, n.data, **SYSTEM_SAMPLE.body)
    parts = [NET["part"](n, blob, SYSTEM_SAMPLE) for blob in NET["STRIDES"]]
    n.score = L.Eltwise(*parts)
    column(n, n.data)
    path = tmp_path / "net.prototxt"
    path.write_text(str(n.to_proto()))
    net = filled(caffe.Net(str(path), caffe.TEST))
    upsampling = [name for name in net.params if name.startswith("upscore")]
    for name in upsampling:
        net.params[name][0].data[...] = 0
    surgery.interp(net, upsampling)
    for name, blobs in net.params.items():
        if name.startswith("enlarged"):
            blobs[0].data[...] = surgery.upsample_filt(blobs[0].data.shape[2])
    own = [net.params[f"score_{name}"] for name in ("fr", "conv4_3", "pool2")]
    weights, bias = net.params["score_of_column"]
    weights.data[...] = np.concatenate([each[0].data for each in own], 1)
    for each in (bias, *(blobs[1] for blobs in own)):
        each.data[...] = 0  # at a map's border an enlarged bias fades, the column's does not
    net.blobs["data"].data[...] = np.random.RandomState(0).uniform(-99, 99, (1, 3, 40, 52))
    net.forward()
    found, wanted = net.blobs["score"].data, net.blobs["score_of_column"].data
    assert np.abs(found - wanted).max() < 1e-4 * np.abs(wanted).max()
    assert not np.allclose(wanted, wanted[:, :, :1, :1])
