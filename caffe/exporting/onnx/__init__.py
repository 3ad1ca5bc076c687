"""Nets as ONNX: `writers` is the table of layers, `model` makes the file and runs it."""

from .writers import FORKS, WRITERS

__all__ = ["FORKS", "WRITERS"]
