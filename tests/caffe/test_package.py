"""The package: imported at once, the engine with the first name that is asked for."""

import subprocess
import sys

import pytest
from places import ROOT

import caffe

LAZY = """
import sys
import caffe
import caffe.draw, caffe.io
from caffe.proto import caffe_pb2

assert caffe.__version__ == "1.0.0" and caffe.io.Transformer and caffe.draw.svg
assert "torch" not in sys.modules
"""
# each in a process of its own: whichever is first, `caffe.layers` is what writes layers
FIRST = [
    "from caffe.layers import conv",
    "import caffe.running",
    "from caffe import context",
    "from caffe import *; assert Net",
    "import caffe; assert 'Net' in dir(caffe)",
]
THEN = """
from caffe import layers as L, params as P
import caffe
assert L.Convolution and L is caffe.layers and P.Pooling.MAX == 0
assert not missing
"""


def run(script):
    subprocess.run([sys.executable, "-c", script], check=True, env={"PYTHONPATH": str(ROOT)})


def test_importing_it_imports_no_pytorch():
    run(LAZY)


@pytest.mark.parametrize("first", FIRST)
def test_whatever_is_imported_first(first):
    run(
        f"{first}\n"
        + THEN.replace("missing", "[n for n in caffe.__all__ if not hasattr(caffe, n)]")
    )


def test_names():
    assert set(caffe.__all__) <= set(dir(caffe))
    assert caffe.layers is caffe.net_spec.layers and caffe.memory is caffe.running.memory
    with pytest.raises(AttributeError, match="module 'caffe' has no attribute 'nothing'"):
        caffe.nothing  # noqa: B018
    with pytest.raises(ImportError, match="cannot import name 'nothing'"):
        from caffe import nothing  # noqa: F401
