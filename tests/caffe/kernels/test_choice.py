"""The table that chooses a convolution's kernel: which one for which shape, phase, device, precision."""

import pytest
import torch

import caffe
from caffe import context
from caffe.kernels import library
from caffe.kernels.cases import Case, Geometry
from caffe.kernels.convolution import (
    KERNELS,
    Channelwise,
    Columns,
    OneDNN,
    Planes,
    PyTorch,
    Winograd,
    choose,
)

pytestmark = pytest.mark.skipif(not library.available(), reason="no C compiler here")
FORWARD, BOTTOM, WEIGHT = KERNELS


def case(kernel=3, channels=64, outputs=64, size=100, transposed=False, group=1, **more):
    """A convolution of square maps, in training unless told otherwise."""
    geometry = dict(stride=[1, 1], pad=[1, 1], dilation=[1, 1], group=group, transposed=transposed)
    for name in tuple(more):
        if name in geometry:
            geometry[name] = [more.pop(name)] * 2
    settings = dict(missing=[0] * 4, plain=True, training=True, exact=False, learned=True)
    settings |= dict(windowed=False, positions=size**2, top_sizes=[size, size]) | more
    weights = channels * outputs * kernel**2 // group
    return Case(Geometry([kernel] * 2, **geometry), channels, outputs, weights, **settings)


FC6 = dict(kernel=7, channels=512, outputs=4096, size=16)
UP = dict(kernel=16, channels=21, outputs=21, stride=8, transposed=True, learned=False)
TEST = dict(training=False)
WINDOWS = dict(training=False, windowed=True)


@pytest.mark.parametrize(
    "operation, settings, wanted",
    [
        (FORWARD, {}, Winograd),
        (FORWARD, WINDOWS, Winograd),
        (FORWARD, TEST, PyTorch),  # layer by layer: the plain way, which the others agree with
        (FORWARD, dict(outputs=31), PyTorch),
        (FORWARD, dict(stride=2), PyTorch),
        (FORWARD, dict(dilation=2), PyTorch),
        (FORWARD, dict(group=2), PyTorch),
        (FORWARD, dict(kernel=5), PyTorch),
        (FORWARD, dict(exact=True), PyTorch),
        (FORWARD, dict(plain=False), PyTorch),
        (FORWARD, dict(kernel=5) | WINDOWS, Planes),
        (FORWARD, dict(kernel=11, stride=4, channels=3) | WINDOWS, Planes),
        (FORWARD, dict(kernel=1, outputs=21) | WINDOWS, Planes),
        (FORWARD, dict(kernel=5, group=2) | WINDOWS, Planes),
        (FORWARD, dict(exact=True) | WINDOWS, OneDNN),
        (FORWARD, dict(kernel=5, group=64) | WINDOWS, PyTorch),  # one output a group
        (FORWARD, dict(kernel=5, plain=False), PyTorch),
        (FORWARD, FC6, Columns),
        (FORWARD, FC6 | dict(size=100), PyTorch),
        (FORWARD, FC6 | WINDOWS, OneDNN),
        (FORWARD, UP, Channelwise),
        (FORWARD, UP | dict(outputs=20), PyTorch),
        (BOTTOM, {}, Winograd),
        (BOTTOM, dict(channels=3), PyTorch),
        (BOTTOM, dict(outputs=21), Winograd),
        (BOTTOM, FC6, Columns),
        (BOTTOM, UP, Channelwise),
        (BOTTOM, UP | dict(learned=True), PyTorch),
        (WEIGHT, {}, Winograd),
        (WEIGHT, dict(size=32), PyTorch),
        (WEIGHT, dict(channels=3), PyTorch),
        (WEIGHT, FC6, Columns),
        (WEIGHT, UP | dict(learned=True), PyTorch),
    ],
)
def test_float32_on_the_cpu(operation, settings, wanted):
    assert choose(operation, case(**settings), torch.zeros(1)) is wanted


@pytest.mark.parametrize("operation", KERNELS)
def test_double_precision_has_no_kernels_of_ours(operation):
    with context.double_precision():
        x = torch.zeros(1, dtype=torch.float64)
        assert choose(operation, case(), x) is PyTorch
        assert choose(FORWARD, case(**FC6 | WINDOWS), x) is PyTorch


@pytest.mark.parametrize("operation", KERNELS)
def test_elsewhere_than_on_the_cpu(operation, mock_gpu):
    assert choose(operation, case(), torch.zeros(1)) is PyTorch
    assert choose(operation, case(**FC6), torch.zeros(1)) is Columns


def test_bf16_keeps_winograd_s_float32(monkeypatch):
    monkeypatch.setattr(context, "precisions", lambda where=None: list(context.PRECISIONS))
    caffe.set_precision("bf16")
    assert choose(FORWARD, case(), torch.zeros(1)) is Winograd
    assert choose(FORWARD, case(kernel=5, **WINDOWS), torch.zeros(1)) is OneDNN


def test_every_row_ends_with_a_kernel_that_takes_everything():
    for operation, kernels in KERNELS.items():
        assert kernels[-1] is PyTorch
        assert PyTorch.applies(operation, case(), torch.zeros(1))
