"""What convolutions multiply in, and in which layout: the choice a GPU has, tried on the CPU."""

import warnings
from collections import defaultdict

import numpy as np
import pytest
import torch
from gradient_check import Layers

import caffe
from caffe import context
from caffe.kernels import convolution, layouts, searches

CONVOLUTION = """type: "Convolution" convolution_param { num_output: 5 kernel_size: 3 pad: 1
  weight_filler { type: "xavier" } bias_filler { type: "constant" value: 0.5 } }"""
KINDS = {
    "plain": (CONVOLUTION, (2, 3, 9, 8)),
    "grouped": (CONVOLUTION.replace("pad", "group: 5 pad"), (2, 5, 9, 8)),
    "transposed": (CONVOLUTION.replace("Conv", "Deconv", 1), (1, 3, 5, 4)),
    "columns": (CONVOLUTION.replace("num_output: 5", "num_output: 2048"), (1, 64, 3, 3)),
    "one_axis": (
        CONVOLUTION.replace("kernel_size: 3 pad: 1", "kernel_size: 3 axis: 2"),
        (2, 3, 4, 9),
    ),
}


@pytest.fixture
def choice(mock_gpu, monkeypatch):
    """A device with tensor cores, on which channels last is the faster layout."""
    tried = []

    def took(way, layout):
        tried.append(way(layout))
        return 1.0 if layout == torch.channels_last else 2.0

    monkeypatch.setattr(context, "precisions", lambda where=None: list(context.PRECISIONS))
    monkeypatch.setattr(
        convolution, "have_a_choice", lambda x: x.dim() == 4 and context.precision() != "float32"
    )
    monkeypatch.setattr(layouts, "_milliseconds", took)
    monkeypatch.setattr(layouts, "_fastest", defaultdict(dict))
    monkeypatch.setattr(searches, "_tried", defaultdict(set))
    return tried


def forward_and_backward(kind, precision):
    context.set_precision(precision)
    text, shape = KINDS[kind]
    run = Layers(text, [shape])
    rng = run.randomize(-1, 1, {})
    y = run.forward()[0].copy()
    run.top[0].diff[...] = rng.standard_normal(y.shape)
    run.backward([True])
    return [y, run.bottom[0].diff.copy(), *(blob.diff.copy() for blob in run.params)]


@pytest.mark.parametrize("precision, tolerance", [("tf32", 1e-5), ("bf16", 2e-2)])
@pytest.mark.parametrize("kind", KINDS)
def test_every_precision_and_layout_multiplies_the_same(kind, precision, tolerance, choice):
    wanted = forward_and_backward(kind, "float32")
    for a, b in zip(wanted, forward_and_backward(kind, precision)):
        assert a.dtype == b.dtype == np.float32 and a.shape == b.shape
        assert np.abs(a - b).max() <= tolerance * np.abs(a).max()


def test_a_layout_is_tried_once_a_shape(choice):
    first = forward_and_backward("plain", "tf32")
    assert len(choice) == 4  # two layouts, forward and backward
    for a, b in zip(first, forward_and_backward("plain", "tf32")):
        assert (a == b).all()
    assert len(choice) == 4
    assert {layout for known in layouts._fastest.values() for layout in known.values()} == {
        torch.channels_last
    }
    forward_and_backward("grouped", "tf32")
    assert len(choice) == 8


@pytest.fixture
def chosen_by(choice, monkeypatch):
    """(Size, whether cuDNN tries its algorithms) of every convolution, as of a GPU's."""
    seen, convolution_ = [], torch.convolution

    def observed(x, *args):
        seen.append((x.shape[2], torch.backends.cudnn.benchmark))
        return convolution_(x, *args)

    monkeypatch.setattr(torch, "convolution", observed)
    monkeypatch.setattr(convolution, "has_cudnn", lambda x: True)
    monkeypatch.setattr(searches, "MOST_SHAPES", 2)
    return seen


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("kind, precision", [("plain", "float32"), ("grouped", "bf16")])
def test_only_the_first_shapes_are_tried(kind, precision, before, chosen_by, choice, monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", before)
    context.set_precision(precision)
    text, (num, channels, _, width) = KINDS[kind]
    run = Layers(text, [(num, channels, 9, width)])
    for size in (9, 12, 9, 10, 11, 12, 10):
        run.bottom[0].reshape(num, channels, size, width)
        run.forward()
    assert set(chosen_by) == {(9, True), (12, True), (10, False), (11, False)}
    assert len(choice) == (4 if precision == "bf16" else 0)  # two layouts, for two shapes
    assert torch.backends.cudnn.benchmark is before


def test_a_shape_that_is_not_tried_takes_the_layout_of_most(chosen_by, choice, monkeypatch):
    key, took = ("convolution",), iter([2.0, 1.0, 1.0, 2.0, 2.0, 1.0])
    monkeypatch.setattr(layouts, "_milliseconds", lambda run, layout: next(took))
    for shape, tried, wanted in (
        (1, False, torch.channels_last),  # with none to go by it is tried
        (2, True, torch.preserve_format),
        (3, True, torch.channels_last),
        (4, False, torch.channels_last),
        (2, False, torch.preserve_format),
    ):
        assert layouts.in_fastest(lambda layout: layout, key, shape, tried) is wanted


def test_converted_weights_follow_the_parameter(choice):
    """However it is written: on the device, from the host, by another blob's memory."""
    context.set_precision("bf16")
    text, shape = KINDS["plain"]
    run, other = Layers(text, [shape]), Layers(text, [shape])
    weight = run.params[0]

    def seen():
        return run.layer.convert_weights(torch.bfloat16, torch.channels_last)

    assert seen() is not None and seen().data_ptr() == seen().data_ptr()
    weight.x.fill_(1)
    assert (seen() == 1).all()
    weight.data[...] = 2
    assert (seen() == 2).all()
    for value in (3, 4):  # two uploads, of which the second may lie where another lay
        weight.data[...] = value
        assert (weight.x == value).all()
    assert (seen() == 4).all()
    other.params[0].data[...] = 5
    weight.share_data(other.params[0])
    assert (seen() == 5).all()
    weight.x = torch.full(tuple(weight.shape), 6.0)
    assert (seen() == 6).all()


NEW_NAMES = hasattr(torch.backends.cudnn, "conv")


@pytest.mark.skipif(not NEW_NAMES, reason="this PyTorch has no torch.backends.fp32_precision")
@pytest.mark.parametrize("precision", ["float32", "tf32", "bf16"])
@pytest.mark.parametrize("before", ["tf32", "ieee"])
def test_tf32_is_used_where_asked_for_whatever_a_user_set(precision, before, monkeypatch):
    """By the new names as well as by the old, for products as well as for convolutions."""
    monkeypatch.setattr(context, "precisions", lambda where=None: list(context.PRECISIONS))
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    with torch.backends.flags(fp32_precision=before):
        matmul.fp32_precision = cudnn.conv.fp32_precision = before
        caffe.set_precision(precision)
        wanted = "tf32" if precision == "tf32" else "ieee"
        assert matmul.fp32_precision == cudnn.conv.fp32_precision == wanted
        assert matmul.allow_tf32 is cudnn.allow_tf32 is (precision == "tf32")


def test_the_sums_of_bf16_products_are_float32():
    torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = True
    caffe.set_precision("float32")
    assert not torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction


def test_a_warning_of_the_old_names_is_not_passed_on(monkeypatch):
    """PyTorch 2.9 warns whenever one is set."""

    class Switch:
        def __setattr__(self, name, value):
            if name == "allow_tf32":
                warnings.warn("use fp32_precision", UserWarning, stacklevel=2)

    monkeypatch.setattr(torch.backends.cuda, "matmul", Switch())
    caffe.set_precision("float32")
