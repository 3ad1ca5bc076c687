"""Nets as PyTorch: `writers` is the table of layers, `model` makes the files and runs them."""

from .writers import WRITERS

__all__ = ["WRITERS"]
