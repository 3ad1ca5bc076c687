"""Two nets alike, with other weights."""

import pytest
from foreign import NET
from narrow import filled


@pytest.fixture
def nets(net_of):
    """A filled net, and the same with other weights."""
    return filled(net_of(NET)), filled(net_of(NET), seed=1)
