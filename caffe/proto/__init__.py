"""Caffe's messages: caffe.proto and the module that protoc generates from it, caffe_pb2."""

from google.protobuf import text_format

from . import caffe_pb2

# Scripts write str(net) to prototxt files. text_format prints a float of 1 as `1.0` under every
# version of protobuf; the newer versions' own __str__ prints `1`.
setattr(caffe_pb2.NetParameter, "__str__", text_format.MessageToString)  # noqa: B010

for _name, _message in caffe_pb2.DESCRIPTOR.message_types_by_name.items():
    _class = getattr(caffe_pb2, _name)
    # pickle finds a class by its module's name; protoc knows only that of the file, caffe_pb2
    _class.__module__ = caffe_pb2.__name__
    for _enum in _message.enum_types:
        for _value in _enum.values:
            # there without this, too, but not in dir(), from which editors complete
            setattr(_class, _value.name, _value.number)
