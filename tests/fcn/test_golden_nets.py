"""Nets at full width against what BVLC Caffe 1.0 computed: blobs, losses and gradients."""

import pytest
import replay
from published import MODELS


def test_golden_files_are_there():
    assert {"voc-fcn32s", "voc-fcn16s", "voc-fcn8s"} <= set(replay.NETS) <= set(MODELS)


@pytest.fixture(scope="module")
def filled():
    """Parameters by the golden files' formula, made once: most are the same in all the nets."""
    return {}


@pytest.mark.parametrize("name", replay.NETS)
def test_golden(name, filled):
    assert [error for error in replay.fcn(name, filled) if not error.within()] == []
