"""The engine's own kernels for CPUs, in C: compiled at first use, for the machine that runs them.

PyTorch's convolutions do every multiplication that the definition has. For 3x3 kernels Winograd's
filtering needs a quarter of them, and works on Caffe's planes as they are, any window of them.
Without a C compiler, or with CAFFE_KERNELS=0 in the environment, `available()` is False and layers
compute by PyTorch alone.
"""

import ctypes
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import torch

from ..glog import warning

SOURCES = Path(__file__).parent
FLAGS = ["-O3", "-march=native", "-std=gnu11", "-fopenmp", "-fPIC", "-shared"]
BLOCK = 2**23  # bytes of V and M of a block of tile rows, unless the weights are many
SPAN = 32  # tiles a thread works on alone
OWN = 256  # channels, in and out, of which its second cache holds so many
_own = threading.local()  # what kernels work in: new memory at every call would cost page faults


def available() -> bool:
    return _library() is not None


@functools.cache
def _library():
    """The compiled kernels, or None."""
    if os.environ.get("CAFFE_KERNELS") == "0":
        return None
    try:
        library = ctypes.CDLL(os.fspath(_compiled()))
    except (
        OSError,
        RuntimeError,
        subprocess.SubprocessError,
    ) as error:  # no home folder, no compiler
        said = getattr(error, "stderr", "") or error
        warning(
            "kernels:0",
            f"the C kernels could not be compiled ({said}): forward takes over twice as long. Install a "
            "C compiler with OpenMP (gcc), or name it in CC; CAFFE_KERNELS=0 silences this",
        )
        return None
    for name in (
        "winograd_scratch",
        "winograd_weights_size",
        "winograd_gradient_room",
        "outer_room",
    ):
        getattr(library, name).restype = ctypes.c_int64
    return library


def _compiled() -> Path:
    """The library, from the cache where this machine has compiled these sources before."""
    compiler = os.environ.get("CC") or next(filter(shutil.which, ("gcc", "cc", "clang")), "gcc")
    digest = hashlib.sha256(repr((compiler, FLAGS, platform.machine(), _processor())).encode())
    for path in sorted(SOURCES.glob("*.[ch]")):
        digest.update(path.read_bytes())
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "fcn-caffe")
    target = folder / f"kernels-{digest.hexdigest()[:16]}.so"
    if target.exists():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as work:  # several processes may be at it
        made = Path(work, target.name)
        sources = map(str, sorted(SOURCES.glob("*.c")))
        command = [*compiler.split(), *FLAGS, *sources, "-o", str(made)]
        subprocess.run(command, check=True, capture_output=True, text=True)
        os.replace(made, target)
    return target


def _processor() -> str:
    """What -march=native depends on."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() + sys.platform
    return next((line for line in lines if line.startswith(("flags", "Features"))), "")


def _room(name, size):
    room = getattr(_own, name, None)
    if room is None or room.numel() < size:
        room = torch.zeros(size, dtype=torch.float32, device="cpu")
        setattr(_own, name, room)
    return room


def _address(tensor):
    return None if tensor is None else ctypes.c_void_p(tensor.data_ptr())


def _longs(*values):
    return map(ctypes.c_int64, values)


def winograd_weights(weight, transposed=False, keep=True):
    """Weights (outputs, inputs, 3, 3) in the form that `winograd` multiplies by.

    Without `keep` they hold until the next call: training makes them afresh every time.

    `transposed`: for the gradient of the bottom, where outputs and inputs change places and every
    kernel is turned by 180 degrees.
    """
    outs, ins = weight.shape[:2]
    steps = ins * 9, 9
    if transposed:
        outs, ins, steps = ins, outs, steps[::-1]
    size = _library().winograd_weights_size(*_longs(outs, ins))
    made = torch.empty(size, dtype=torch.float32, device="cpu") if keep else _room("weights", size)
    _library().winograd_weights(
        _address(weight),
        *_longs(*steps, outs, ins),
        int(transposed),
        _address(made),
        torch.get_num_threads(),
    )
    return made


def _block(rows, per_row, weights):
    """How many of the tile rows, of so many tiles of all channels each, are worked on at a time.

    Every block reads all weights: it should have several times as many numbers of its own.
    """
    room = max(BLOCK, 4 * 36 * 4 * weights)
    blocks = -(-rows // max(1, room // (36 * 4 * per_row)))
    return -(-rows // blocks)  # of about equal size


def winograd(x, weights, bias, y, pad, window, slope=None):
    """Write a window of the convolution of x (C, H, W), padded, into y (K, height, width).

    3x3 kernels, stride 1. window: (top, bottom, left, right), in cells of y. With a `slope`, negative
    values are multiplied by it (ReLU). Maps and weights are float32 and contiguous.
    """
    library, threads = _library(), torch.get_num_threads()
    ins, outs = x.shape[0], y.shape[0]
    tiles = (window[3] - window[2] + 3) // 4
    rows = (window[1] - window[0] + 3) // 4
    block = _block(rows, (ins + outs) * tiles, ins * outs)
    span = SPAN if ins + outs <= OWN else 0
    needed = library.winograd_scratch(*_longs(ins, outs, tiles, block, span), threads)
    library.winograd_convolve(
        _address(x),
        *_longs(*x.shape, *pad),
        _address(weights),
        _address(bias),
        int(slope is not None),
        ctypes.c_float(slope or 0),
        _address(y),
        *_longs(*y.shape, *window, block, span),
        _address(_room("maps", needed)),
        threads,
    )


def winograd_gradient(x, dy, dw, pad):
    """dw (K, C, 3, 3) += the gradient of the weights, from bottoms x (N, C, H, W) and tops' diffs dy."""
    library, threads = _library(), torch.get_num_threads()
    ins, outs, (height, width) = x.shape[1], dy.shape[1], dy.shape[2:]
    tiles, rows = (width + 3) // 4, (height + 3) // 4
    block = _block(rows, (ins + outs) * tiles, ins * outs)
    room = _room("maps", library.winograd_gradient_room(*_longs(ins, outs, tiles, block), threads))
    for n, (picture, diff) in enumerate(zip(x, dy)):
        library.winograd_gradient(
            _address(picture),
            *_longs(*picture.shape, *pad),
            _address(diff),
            *_longs(*diff.shape),
            int(n == 0),
            int(n == len(x) - 1),
            _address(dw),
            *_longs(block),
            _address(room),
            threads,
        )


def maxima(x, y, kernel, stride, window):
    """Write a window (top, bottom, left, right) of the MAX pooling of x (..., H, W) into y.

    Without padding; every window starts inside of x, the last ones may end outside.
    """
    height, width = x.shape[-2:]
    planes = x.numel() // (height * width) if x.numel() else 0
    _library().maxima(
        _address(x),
        *_longs(planes, height, width, *kernel, *stride),
        _address(y),
        *_longs(*y.shape[-2:], *window),
        torch.get_num_threads(),
    )


def maxima_and_cells(x, y, kernel, stride):
    """Fill y with the MAX pooling of x, unpadded; returns the cell of its window each value is from.

    uint8, counted row by row, 255 where nothing was larger than -FLT_MAX.
    """
    cells = torch.empty(y.shape, dtype=torch.uint8, device="cpu")
    height, width = x.shape[-2:]
    _library().maxima_and_cells(
        _address(x),
        *_longs(x.numel() // (height * width), height, width, *kernel, *stride),
        _address(y),
        _address(cells),
        *_longs(*y.shape[-2:]),
        torch.get_num_threads(),
    )
    return cells


def maxima_gradient(dy, cells, dx, kernel, stride):
    """Fill dx with what dy sends to the cells that `maxima_and_cells` found."""
    height, width = dx.shape[-2:]
    _library().maxima_gradient(
        _address(dy),
        _address(cells),
        *_longs(dx.numel() // (height * width), height, width, kernel[1], *stride),
        _address(dx),
        *_longs(*dy.shape[-2:]),
        torch.get_num_threads(),
    )


def upsample(x, filters, bias, y, stride, pad):
    """Write the deconvolution of x (C, H, W) with one kernel a channel, filters (C, h, w), into y."""
    _library().upsample(
        _address(x),
        *_longs(*x.shape),
        _address(filters),
        *_longs(*filters.shape[1:], *stride, *pad),
        _address(bias),
        _address(y),
        *_longs(*y.shape[1:]),
        torch.get_num_threads(),
    )


def add_outer(a, b, m):
    """m (R, C) += a (R, D) times the transpose of b (C, D): for D of some hundreds and a large m."""
    (rows, depth), columns = a.shape, b.shape[0]
    size = _library().outer_room(*_longs(rows, columns, depth))
    _library().add_outer(
        _address(a),
        _address(b),
        *_longs(rows, columns, depth),
        _address(m),
        _address(_room("maps", size)),
        torch.get_num_threads(),
    )
