"""Fixtures of the data sets, each a small tree on disk."""

from datasets import context, nyud, sbd, siftflow, voc

__all__ = ["context", "nyud", "sbd", "siftflow", "voc"]
