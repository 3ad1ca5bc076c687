"""Caffe's messages: definitions, text and binary formats, upgrades of old files."""

from google.protobuf import text_format

from . import caffe_pb2

# str(net), which scripts write to prototxt files, is what text_format writes, whatever runtime is
# installed: by themselves the newer ones write a float of 1.0 as 1.
caffe_pb2.NetParameter.__str__ = text_format.MessageToString
