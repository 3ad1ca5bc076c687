"""The tables of cases of the forks' layers, each as a net: what walks every layer through all ways."""

import importlib.util

import numpy as np
from google.protobuf import text_format
from gradient_check import SEED
from places import ROOT

from caffe.layer import class_of
from caffe.proto import caffe_pb2


def cases():
    """name -> the first case of each class, from the tables `CASES` of the tests beside the layers'."""
    found, seen = {}, set()
    for path in sorted((ROOT / "tests/caffe/layers/forks").glob("test_*.py")):
        spec = importlib.util.spec_from_file_location(f"cases_of_{path.stem}", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        for case in getattr(module, "CASES", ()):
            cls = class_of(text_format.Parse(case.text, caffe_pb2.LayerParameter()))
            if cls not in seen:
                seen.add(cls)
                found[cls.__name__] = case
    return found


def as_net(case):
    """The NetParameter of a case: an input a bottom, b0, b1, ..., and the layer, named `l`."""
    net = caffe_pb2.NetParameter()
    for i, shape in enumerate(case.shapes):
        net.layer.add(name=f"b{i}", type="Input", top=[f"b{i}"]).input_param.shape.add().dim.extend(
            shape
        )
    layer = text_format.Parse(case.text, net.layer.add(name="l"))
    layer.bottom[:] = [f"b{i}" for i in range(len(case.shapes))]
    layer.top[:] = [f"t{i}" for i in range(case.tops)]
    return net


def fill(net, case):
    """Give the inputs and the parameters of a case's net the case's values."""
    generator = np.random.default_rng(SEED)
    for i in range(len(case.shapes)):
        blob = net.blobs[f"b{i}"]
        blob.data[...] = case.values.get(i, generator.uniform(case.low, case.high, blob.data.shape))
    for blobs in net.params.values():
        for blob in blobs:
            blob.data[...] = generator.uniform(case.low, case.high, blob.data.shape)
