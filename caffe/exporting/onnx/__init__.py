"""Nets as ONNX: `writers` is the table of layers, `model` makes the file and runs it."""
