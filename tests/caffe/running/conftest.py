"""Fixtures of the tests of memory."""

import numpy as np
import pytest
from memory_nets import net_with_everything
from nets import build


@pytest.fixture
def net(tmp_path):
    """A TEST net with every kind of sharing, and a picture in it."""
    net = build(net_with_everything(), tmp_path)
    net.blobs["data"].data[...] = np.random.default_rng(1).standard_normal(net.blobs["data"].shape)
    return net
