"""The C kernels built with the address and undefined-behaviour sanitizers, on random shapes.

`python -m tests.soak.sanitized SECONDS`. The sanitizers' library must be loaded before Python's own memory
is: the kernels run in a process that is started with it. Results are compared with PyTorch's, too.
"""

import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from caffe.kernels import compiling

FLAGS = [
    *(flag for flag in compiling.FLAGS if flag != "-O3"),
    *("-O1", "-g", "-fno-omit-frame-pointer", "-fsanitize=address,undefined"),
    "-fno-sanitize-recover=undefined",
]
PLANES = (1, 5), (1, 3), (0, 2)  # the least and the most of kernel, stride, padding
OPTIONS = {
    "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=0:exitcode=99",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
}


def runtime(compiler: str) -> str:
    """The path of the sanitizer's library; "" where the compiler has none."""
    try:
        said = compiling.call([compiler, "-print-file-name=libasan.so"], 60).decode().strip()
    except (OSError, subprocess.SubprocessError):
        return ""
    return os.path.realpath(said) if os.path.isabs(said) else ""


def run(seconds: float, seed: int = 0) -> tuple[int, str]:
    """(shapes tried, what the sanitizers or the comparison say; "" if nothing)."""
    compiler = os.environ.get("CC", "gcc")
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder, "kernels.so")
        compiling.compile_into(library, [compiler], FLAGS)
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "tests.soak.sanitized",
                "--inside",
                str(library),
                str(seconds),
                str(seed),
            ],
            env={**os.environ, **OPTIONS, "LD_PRELOAD": runtime(compiler), "OMP_NUM_THREADS": "2"},
            capture_output=True,
            text=True,
        )
    lines = done.stdout.split()
    tried = int(lines[-1]) if lines and lines[-1].isdigit() else 0
    return tried, "" if done.returncode == 0 else f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"


def soak(seconds: float, seed: int = 0) -> tuple[str, list[str]]:
    """(what was done, the faults) in so many seconds."""
    if not runtime(os.environ.get("CC", "gcc")):
        return "no compiler with sanitizers here", []
    tried, said = run(seconds, seed)
    return f"{tried:,} random shapes through {len(KERNELS)} kernels", [said] if said else []


# ---- inside of the process with the sanitizers


def inside(library: str, seconds: float, seed: int) -> int:
    """Random shapes through every kernel until the time is up; prints how many, returns 0."""
    import ctypes

    from caffe.kernels import library as kernels

    loaded = kernels.declared(ctypes.CDLL(library))
    kernels.library = lambda: loaded  # type: ignore[assignment]
    draw, tried, end = random.Random(seed), 0, time.monotonic() + seconds
    while time.monotonic() < end or not tried:
        for kernel in KERNELS:
            kernel(draw)
            tried += 1
            print(tried, flush=True)
    return 0


def tensor(draw, *shape):
    """Random values in memory that ends where they end, as the sanitizer can see."""
    import torch

    return torch.randn(shape, generator=torch.Generator().manual_seed(draw.randrange(2**31)))


def close(found, wanted, what):
    """AssertionError unless a kernel's result is PyTorch's."""
    scale = wanted.abs().max().clamp(min=1)
    assert (found - wanted).abs().max() <= 1e-3 * scale, what


def winograd(draw):
    """A 3 x 3 convolution, over a window of its output."""
    import torch

    from caffe.kernels import winograd as kernel

    ins, outs = draw.randint(1, 70), draw.randint(1, 70)
    height, width = draw.randint(3, 40), draw.randint(3, 40)
    pad = draw.randint(0, 4), draw.randint(0, 4)
    x, w, bias = tensor(draw, ins, height, width), tensor(draw, outs, ins, 3, 3), tensor(draw, outs)
    wanted = torch.nn.functional.conv2d(x[None], w, bias, padding=pad)[0]
    rows, columns = wanted.shape[1:]
    top, left = draw.randrange(rows), draw.randrange(columns)
    window = top, draw.randint(top + 1, rows), left, draw.randint(left + 1, columns)
    y = torch.full(wanted.shape, 9.0)
    kernel.convolve(x, kernel.transform_weights(w), bias, y, pad, window)
    at = slice(None), slice(*window[:2]), slice(*window[2:])
    close(y[at], wanted[at], ("winograd", ins, outs, height, width, pad, window))


def outer(draw):
    """The sum of outer products."""
    from caffe.kernels.products import add_outer

    rows, columns, depth = (draw.randint(1, 130) for _ in range(3))
    a, b, m = tensor(draw, rows, depth), tensor(draw, columns, depth), tensor(draw, rows, columns)
    wanted = m + a @ b.t()
    add_outer(a, b, m)
    close(m, wanted, ("outer", rows, columns, depth))


def upsampling(draw):
    """A deconvolution a channel."""
    import torch

    from caffe.kernels.upsample import upsample

    channels, stride = draw.randint(1, 5), (draw.randint(1, 8), draw.randint(1, 8))
    size = tuple(draw.randint(each, 2 * each + 3) for each in stride)
    pad = tuple(draw.randint(0, (each - 1) // 2) for each in size)
    x = tensor(draw, channels, draw.randint(2, 12), draw.randint(2, 12))
    filters, bias = tensor(draw, channels, *size), tensor(draw, channels)
    wanted = torch.nn.functional.conv_transpose2d(
        x[None], filters[:, None], bias, stride, pad, groups=channels
    )[0]
    y = torch.empty_like(wanted)
    upsample(x, filters, bias, y, stride, pad)
    close(y, wanted, ("upsample", tuple(x.shape), size, stride, pad))


def largest(draw):
    """Max pooling."""
    import torch

    from caffe.kernels.maps import pool_windows

    kernel = draw.randint(1, 4), draw.randint(1, 4)
    stride = draw.randint(1, 3), draw.randint(1, 3)
    height, width = (draw.randint(each, 30) for each in kernel)
    x = tensor(draw, draw.randint(1, 6), height, width)
    wanted = torch.nn.functional.max_pool2d(x[None], kernel, stride)[0]
    y = torch.empty_like(wanted)
    window = (0, wanted.shape[1], 0, wanted.shape[2])
    pool_windows(x, y, (kernel, stride, (0, 0)), window)
    close(y, wanted, ("maxima", tuple(x.shape), kernel, stride))


def planes(draw):
    """Convolutions straight on the planes."""
    import torch

    from caffe.kernels import planes as kernels
    from caffe.kernels.cases import Geometry

    kernel, stride, pad = ([draw.randint(*ends), draw.randint(*ends)] for ends in PLANES)
    group, sizes = draw.randint(1, 2), [draw.randint(each, 40) for each in kernel]
    x = tensor(draw, draw.randint(1, 3), group * draw.randint(1, 9), *sizes)
    weight = tensor(draw, group * draw.randint(1, 20), x.shape[1] // group, *kernel)
    wanted = torch.conv2d(x, weight, None, stride, pad, 1, group)
    y = torch.empty_like(wanted)
    geometry = Geometry(kernel, stride, pad, [1, 1], group, False)
    packed = kernels.lay_out(weight, group)
    kernels.convolve(x, packed, None, y, geometry, (0, y.shape[2]))
    close(y, wanted, ("planes", tuple(x.shape), kernel, stride, pad, group))


def of_weights(draw):
    """The gradient of a 3 x 3 convolution's weights, added to what is there."""
    import torch

    from caffe.kernels import winograd as kernel

    count, ins, outs = draw.randint(1, 3), draw.randint(1, 40), draw.randint(1, 40)
    pad = draw.randint(0, 2), draw.randint(0, 2)
    x = tensor(draw, count, ins, draw.randint(3, 24), draw.randint(3, 24))
    height, width = (side + 2 * each - 2 for side, each in zip(x.shape[2:], pad))
    dy, dw = tensor(draw, count, outs, height, width), tensor(draw, outs, ins, 3, 3)
    wanted = dw + torch.nn.grad.conv2d_weight(x, tuple(dw.shape), dy, padding=pad)
    kernel.add_weight_gradient(x, dy, dw, pad)
    close(dw, wanted, ("weights", tuple(x.shape), outs, pad))


def sent_back(draw):
    """Max pooling, and the gradient that it sends back."""
    import torch

    from caffe.kernels import maxima as kernels

    kernel = draw.randint(1, 4), draw.randint(1, 4)
    stride = tuple(draw.randint(1, each) for each in kernel)
    x = tensor(draw, draw.randint(1, 6), *(draw.randint(each, 30) for each in kernel))
    given = x.clone().requires_grad_()
    wanted = torch.nn.functional.max_pool2d(given[None], kernel, stride)[0]
    dy = tensor(draw, *wanted.shape)
    wanted.backward(dy)
    y, dx = torch.empty_like(wanted), torch.full(x.shape, 9.0)
    cells = kernels.maxima_and_cells(x, y, kernel, stride)
    kernels.maxima_gradient(dy, cells, dx, kernel, stride)
    close(y, wanted.detach(), ("maxima", tuple(x.shape), kernel, stride))
    close(dx, given.grad, ("gradient of maxima", tuple(x.shape), kernel, stride))


KERNELS = (winograd, planes, of_weights, outer, upsampling, largest, sent_back)


def main() -> int:
    """The command line; returns the exit code."""
    if sys.argv[1] == "--inside":
        return inside(sys.argv[2], float(sys.argv[3]), int(sys.argv[4]))
    tried, said = run(float(sys.argv[1]))
    print(f"{tried:,} shapes; {said or 'nothing to report'}")
    return 1 if said else 0


if __name__ == "__main__":
    sys.exit(main())
