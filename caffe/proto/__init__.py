"""Caffe's messages: caffe.proto and the module that protoc generates from it, caffe_pb2."""

from google.protobuf import text_format

from . import caffe_pb2

# Scripts write str(net) to prototxt files. text_format prints a float of 1 as `1.0` under every
# version of protobuf; the newer versions' own __str__ prints `1`.
setattr(caffe_pb2.NetParameter, "__str__", text_format.MessageToString)  # noqa: B010

# pickle finds a class by its module's name. protoc knows only that of the file, caffe_pb2.
for _name in caffe_pb2.DESCRIPTOR.message_types_by_name:
    getattr(caffe_pb2, _name).__module__ = caffe_pb2.__name__
