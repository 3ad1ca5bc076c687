"""Layers of a net that starts from nothing are scaled on data."""

import numpy as np

import caffe
from fcn.scaling import LAST, scale_layers

NET = """
layer { name: "data" type: "Input" top: "data"
  input_param { shape { dim: 6 dim: 3 dim: 20 dim: 22 } } }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  convolution_param { num_output: 5 kernel_size: 3 pad: 1
    weight_filler { type: "gaussian" std: 3 } bias_filler { type: "constant" value: 0.7 } } }
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
layer { name: "pool1" type: "Pooling" bottom: "conv1" top: "pool1"
  pooling_param { pool: MAX kernel_size: 2 stride: 2 } }
layer { name: "fc2" type: "InnerProduct" bottom: "pool1" top: "fc2" inner_product_param {
  num_output: 7 weight_filler { type: "gaussian" std: 0.001 }
  bias_filler { type: "constant" value: -2 } } }
layer { name: "relu2" type: "ReLU" bottom: "fc2" top: "fc2" }
layer { name: "fc3" type: "InnerProduct" bottom: "fc2" top: "fc3" inner_product_param {
  num_output: 4 weight_filler { type: "gaussian" std: 1 } } }
"""


def test_scale_layers(tmp_path):
    (tmp_path / "net.prototxt").write_text(NET)
    caffe.set_random_seed(0)
    net = caffe.Net(str(tmp_path / "net.prototxt"), caffe.TRAIN)
    net.blobs["data"].data[...] = 60 * np.random.RandomState(0).randn(6, 3, 20, 22)
    before = {name: [blob.data.copy() for blob in blobs] for name, blobs in net.params.items()}
    net.params["fc2"][1].data[...] = before["fc2"][1][...] = 0.01
    scale_layers(net)
    net.forward(end="conv1")
    spread = net.blobs["conv1"].data.std(axis=(0, 2, 3))
    np.testing.assert_allclose(spread, 1, rtol=1e-4)
    net.forward(start="relu1", end="fc2")
    np.testing.assert_allclose(net.blobs["fc2"].data.std(axis=0), 1, rtol=1e-4)
    net.forward(start="relu2")
    alive = net.blobs["fc3"].data.std(axis=0)
    np.testing.assert_allclose(alive, LAST, rtol=1e-4)
    for name, (weight, bias) in before.items():  # weight and bias by the same factor a channel
        now = [blob.data for blob in net.params[name]]
        factor = (now[0] / weight).reshape(len(weight), -1)
        np.testing.assert_allclose(factor, factor[:, :1].repeat(factor.shape[1], 1), rtol=1e-4)
        np.testing.assert_allclose(now[1], bias * factor[:, 0], rtol=1e-4, atol=1e-7)
