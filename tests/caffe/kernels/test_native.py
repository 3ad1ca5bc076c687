"""The C kernels against PyTorch's, each alone, and how they are compiled and guarded."""

import numpy as np
import pytest
import torch
from nets import build, conv, layer, source

import caffe
from caffe.kernels import library, planes, pool, winograd
from caffe.kernels.cases import Geometry
from caffe.kernels.maps import add_maps, normalize_channels, pool_windows
from caffe.kernels.pool import PoolWindows
from caffe.kernels.products import add_outer
from caffe.kernels.upsample import upsample


@pytest.mark.skipif(not library.available(), reason="no C compiler here")
@pytest.mark.parametrize("pad", [(0, 0), (1, 1), (5, 2), (-1, -2)])
@pytest.mark.parametrize(
    "ins, outs, height, width", [(3, 64, 23, 70), (1, 1, 9, 9), (130, 33, 12, 35)]
)
def test_winograd(ins, outs, height, width, pad):
    draw = torch.Generator().manual_seed(1)
    x, w = (torch.randn(s, generator=draw) for s in ((ins, height, width), (outs, ins, 3, 3)))
    bias = torch.randn(outs, generator=draw)
    inner = torch.nn.functional.pad(x, (pad[1], pad[1], pad[0], pad[0]))
    wanted = torch.nn.functional.conv2d(inner[None].double(), w.double(), bias.double())[0]
    rows, columns = wanted.shape[1:]
    scale = wanted.square().mean().sqrt()  # a cell errs by a share of its tile
    for window in ((0, rows, 0, columns), (1, rows - 1, 1, columns), (2, 3, 1, 2)):
        y = torch.full(wanted.shape, 9.0)
        winograd.convolve(x, winograd.transform_weights(w), bias, y, pad, window, 0.25)
        inside = (slice(None), slice(*window[:2]), slice(*window[2:]))
        part = torch.nn.functional.leaky_relu(wanted[inside], 0.25)
        assert (y[inside] - part).square().mean().sqrt() <= 3e-6 * scale
        y[inside] = 9
        assert (y == 9).all()  # nothing was written beside the window


PLANES = [  # shape, outputs, kernel, stride, pad, dilation, group
    ((1, 64, 14, 14), 40, (1, 1), (1, 1), (0, 0), (1, 1), 1),
    ((3, 5, 7, 7), 9, (1, 1), (1, 1), (0, 0), (1, 1), 1),  # panels of several pictures
    ((2, 3, 30, 41), 13, (7, 7), (2, 2), (3, 3), (1, 1), 1),
    ((1, 3, 47, 31), 8, (11, 11), (4, 4), (0, 0), (1, 1), 1),
    ((1, 6, 9, 40), 14, (3, 2), (1, 3), (2, 5), (3, 1), 2),
    ((2, 8, 5, 5), 8, (3, 3), (1, 1), (7, 7), (1, 1), 1),  # windows that meet nothing but padding
    (
        (1, 300, 4, 6),
        17,
        (3, 3),
        (1, 1),
        (1, 1),
        (1, 1),
        1,
    ),  # more channels than are summed at once
    ((1, 1100, 3, 16), 130, (1, 1), (1, 1), (0, 0), (1, 1), 1),  # panels taken together
]


@pytest.mark.skipif(not library.available(), reason="no C compiler here")
@pytest.mark.parametrize("shape, outs, kernel, stride, pad, dilation, group", PLANES)
def test_planes(shape, outs, kernel, stride, pad, dilation, group):
    draw = torch.Generator().manual_seed(2)
    x = torch.randn(shape, generator=draw)
    w, scale, bias = (
        torch.randn(s, generator=draw)
        for s in ((outs, shape[1] // group, *kernel), (outs,), (outs,))
    )
    scaled = (w * scale.view(-1, 1, 1, 1)).double()
    arguments = stride, pad, dilation, group
    wanted = torch.conv2d(x.double(), scaled, bias.double(), *arguments)
    wanted = torch.nn.functional.leaky_relu(wanted, 0.25).float()
    geometry = Geometry(*map(list, (kernel, stride, pad, dilation)), group, False)
    packed, last = planes.lay_out(w, group, scale), wanted.shape[2]
    for rows in ((0, last), (1, last), (last - 1, last)):
        y = torch.full(wanted.shape, 9.0)
        planes.convolve(x, packed, bias, y, geometry, rows, 0.25)
        part = slice(*rows)
        assert torch.allclose(y[:, :, part], wanted[:, :, part], rtol=1e-5, atol=2e-4)
        y[:, :, part] = 9
        assert (y == 9).all()  # nothing was written beside the rows


@pytest.mark.skipif(not library.available(), reason="no C compiler here")
@pytest.mark.parametrize(
    "size, stride, pad", [((16, 16), (8, 8), (0, 0)), ((4, 35), (3, 2), (1, 5))]
)
def test_upsample(size, stride, pad):
    draw = torch.Generator().manual_seed(3)
    x, filters, bias = (torch.randn(s, generator=draw) for s in ((3, 7, 9), (3, *size), (3,)))
    wanted = torch.nn.functional.conv_transpose2d(
        x[None], filters[:, None], bias, stride, pad, groups=3
    )[0]
    y = torch.empty_like(wanted)
    upsample(x, filters, bias, y, stride, pad)
    assert torch.allclose(y, wanted, atol=1e-5)


POOLS = [  # size, kernel, stride, pad
    ((20, 37), (2, 2), (2, 2), (0, 0)),
    ((29, 45), (3, 3), (2, 2), (0, 0)),
    ((14, 14), (3, 3), (1, 1), (1, 1)),
    ((7, 70), (5, 4), (3, 3), (2, 1)),
    ((9, 8), (9, 8), (1, 1), (0, 0)),
    ((6, 23), (1, 7), (1, 2), (0, 3)),
    ((7, 8), (1, 1), (4, 5), (0, 0)),  # the last windows start behind the plane
]


@pytest.mark.skipif(not library.available(), reason="no C compiler here")
@pytest.mark.parametrize("size, kernel, stride, pad", POOLS)
@pytest.mark.parametrize("mean", [False, True])
def test_pooling(size, kernel, stride, pad, mean):
    x = torch.randn(5, *size, generator=torch.Generator().manual_seed(7))
    x[0, 0, :3] = torch.tensor([-float("inf"), 1.0 if mean else float("nan"), 2.0])
    windows = PoolWindows(size, kernel, stride, pad)
    wanted = (pool.ave_pool if mean else pool.maxima)(x[None], windows)[0]
    rows, columns = wanted.shape[1:]
    for window in ((0, rows, 0, columns), (rows // 2, rows, columns // 2, columns)):
        y = torch.full(wanted.shape, 9.0)
        pool_windows(x, y, windows.geometry, window, mean)
        inside = (slice(None), slice(*window[:2]), slice(*window[2:]))
        assert torch.allclose(y[inside], wanted[inside], rtol=1e-5, atol=1e-6)
        y[inside] = 9
        assert (y == 9).all()


@pytest.mark.skipif(not library.available(), reason="no C compiler here")
@pytest.mark.parametrize("shape, size", [((2, 7, 9, 11), 5), ((1, 2, 3, 1), 7), ((1, 40, 8, 8), 3)])
def test_normalization_across_channels(shape, size):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(8))
    y = torch.empty_like(x)
    normalize_channels(x, y, size, 0.5 / size, 2.0)
    wanted = torch.nn.functional.local_response_norm(x, size, 0.5, 0.75, 2.0)
    assert torch.allclose(y, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.skipif(not library.available(), reason="no C compiler here")
@pytest.mark.parametrize("count", [1, 100, 5000])
def test_sums_of_two_maps(count):
    a, b = torch.randn(2, count, generator=torch.Generator().manual_seed(9))
    y = torch.empty_like(a)
    add_maps(a, b, y, -0.5, 0.25)
    wanted = torch.nn.functional.leaky_relu(a - 0.5 * b, 0.25)
    assert torch.allclose(y, wanted, rtol=1e-6, atol=1e-6)
    add_maps(a, b, a)  # in place
    assert a[0] != y[0]


@pytest.mark.skipif(not library.available(), reason="no C compiler here")
@pytest.mark.parametrize("rows, columns, depth", [(1, 1, 1), (13, 101, 7), (64, 96, 300)])
def test_add_outer(rows, columns, depth):
    draw = torch.Generator().manual_seed(4)
    a, b, m = (
        torch.randn(*s, generator=draw) for s in ((rows, depth), (columns, depth), (rows, columns))
    )
    wanted = m + a @ b.t()
    add_outer(a, b, m)
    assert torch.allclose(m, wanted, atol=1e-4)


@pytest.mark.skipif(not library.available(), reason="no C compiler here")
def test_winograd_of_the_gradient():
    draw = torch.Generator().manual_seed(2)
    w = torch.randn((33, 20, 3, 3), generator=draw)
    dy = torch.randn((33, 14, 17), generator=draw)
    wanted = torch.nn.functional.conv_transpose2d(dy[None].double(), w.double(), padding=1)[0]
    dx = torch.empty(20, 14, 17)
    winograd.convolve(
        dy, winograd.transform_weights(w, transposed=True), None, dx, (1, 1), (0, 14, 0, 17)
    )
    assert (dx - wanted).norm() <= 3e-6 * wanted.norm()


@pytest.mark.skipif(not library.available(), reason="no C compiler here")
@pytest.mark.parametrize("pad", [(0, 0), (1, 1), (6, 3)])
@pytest.mark.parametrize("num, ins, outs, height, width", [(1, 3, 7, 13, 17), (2, 101, 40, 30, 26)])
def test_winograd_of_the_weights_gradient(num, ins, outs, height, width, pad):
    draw = torch.Generator().manual_seed(5)
    x = torch.randn(num, ins, height, width, generator=draw)
    shape = num, outs, height + 2 * pad[0] - 2, width + 2 * pad[1] - 2
    dy, dw = (torch.randn(s, generator=draw) for s in (shape, (outs, ins, 3, 3)))
    before = dw.clone()
    winograd.add_weight_gradient(x, dy, dw, pad)
    weight = torch.zeros(dw.shape, dtype=torch.float64, requires_grad=True)
    torch.nn.functional.conv2d(x.double(), weight, padding=pad).backward(dy.double())
    assert (dw - before - weight.grad).norm() <= 3e-6 * weight.grad.norm()


@pytest.mark.skipif(not library.available(), reason="no C compiler here")
def test_training_by_kernels_agrees_with_training_by_pytorch(tmp_path, monkeypatch):
    text = (
        source(70, 75, num=2) + conv("a", "data", 40, pad=2) + layer("a_relu", "ReLU", ["a"], "a")
    )
    text += conv("b", "a", 36) + layer("loss", "Reduction", ["b"], "loss", "loss_weight: 0.01")
    path = tmp_path / "net.prototxt"
    path.write_text(text)
    diffs = []
    for used in (True, False):
        monkeypatch.setattr(library, "available", lambda used=used: used)
        caffe.set_random_seed(7)
        net = caffe.Net(str(path), caffe.TRAIN)
        net.blobs["data"].data[...] = np.random.default_rng(1).standard_normal((2, 3, 70, 75))
        net.forward()
        net.backward()
        diffs.append([blob.diff.copy() for blobs in net.params.values() for blob in blobs])
    for a, b in zip(*diffs):
        assert np.linalg.norm(a - b) <= 1e-5 * np.linalg.norm(b)


@pytest.mark.skipif(not library.available(), reason="no C compiler here")
def test_kernels_pass_nan_on():
    x = torch.zeros(1, 12, 12)
    x[0, 5, 5] = float("nan")
    w, y = torch.ones(1, 1, 3, 3), torch.empty(1, 10, 10)
    winograd.convolve(x, winograd.transform_weights(w), None, y, (0, 0), (0, 10, 0, 10), 0.0)
    assert y[0, 3:6, 3:6].isnan().all()


def test_without_a_compiler_there_is_a_warning_and_the_same_result(tmp_path, monkeypatch):
    text = source(20, 20) + conv("a", "data", 32, pad=9)
    net = build(text, tmp_path)
    net.blobs["data"].data[...] = 1
    wanted = net.forward()["a"].copy()
    monkeypatch.delenv("CAFFE_KERNELS", raising=False)
    monkeypatch.setenv("CC", "no-such-compiler")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    said = []
    monkeypatch.setattr("caffe.kernels.library.warning", lambda where, text: said.append(text))
    library.library.cache_clear()
    try:
        other = build(text, tmp_path, net)
        other.blobs["data"].data[...] = 1
        assert np.allclose(other.forward()["a"], wanted, atol=1e-5)
        assert len(said) == 1 and "C compiler" in said[0]
    finally:
        library.library.cache_clear()


@pytest.fixture
def arguments():
    """Tensors that winograd.convolve takes."""
    x, w, y = torch.zeros(3, 9, 9), torch.zeros(32, 3, 3, 3), torch.zeros(32, 9, 9)
    return x, winograd.transform_weights(w), None, y, (1, 1), (0, 9, 0, 9)


@pytest.mark.skipif(not library.available(), reason="no C compiler here")
@pytest.mark.parametrize(
    "index, wrong, says",
    [
        (0, torch.zeros(9, 9, 3).permute(2, 0, 1), "contiguous"),
        (0, torch.zeros(3, 9, 9, dtype=torch.float64), "float64"),
        (0, torch.zeros(3, 9, 9, device="meta"), "meta"),
        (3, torch.zeros(32, 9, 18)[:, :, ::2], "contiguous"),
        (5, (0, 10, 0, 9), "outside"),
        (5, (-1, 9, 0, 9), "outside"),
    ],
)
def test_what_a_kernel_cannot_take_is_an_error(arguments, index, wrong, says):
    changed = [*arguments[:index], wrong, *arguments[index + 1 :]]
    with pytest.raises(ValueError, match=says):
        winograd.convolve(*changed)


@pytest.mark.skipif(not library.available(), reason="no C compiler here")
def test_shapes_that_do_not_fit_are_errors():
    with pytest.raises(ValueError, match="needs shape"):
        winograd.transform_weights(torch.zeros(32, 3, 5, 5))
    with pytest.raises(ValueError, match="needs shape"):
        add_outer(torch.zeros(3, 4), torch.zeros(5, 4), torch.zeros(3, 6))
    with pytest.raises(ValueError, match="needs shape"):
        upsample(
            torch.zeros(3, 4, 4), torch.zeros(2, 2, 2), None, torch.zeros(3, 8, 8), (2, 2), (0, 0)
        )
    with pytest.raises(ValueError, match="needs shape"):
        pool_windows(torch.zeros(3, 4, 4), torch.zeros(2, 2, 2), [(2, 2)] * 3, (0, 2, 0, 2))


@pytest.mark.skipif(not library.available(), reason="no C compiler here")
def test_pytorch_counts_what_a_kernel_writes(arguments):
    before = arguments[3]._version
    winograd.convolve(*arguments)
    assert arguments[3]._version > before
