"""The engine's only global state: mode, device, random seed and number type (src/caffe/common.cpp)."""

from __future__ import annotations

import base64
import contextlib
import os
import secrets
import warnings
from collections.abc import Iterator

import torch

from .arguments import whole_number
from .glog import warning

CPU = torch.device("cpu")

# What a precision's convolutions and inner products multiply in; sums, maps, weights and history are
# float32 in all of them.
PRECISIONS = {"float32": torch.float32, "tf32": torch.float32, "bf16": torch.bfloat16}

_FALLBACK = "CAFFE_GPU_FALLBACK"  # the environment's variable: what computes where there is no GPU

_warned = False  # of it

_device = CPU
_gpu = 0
_precision = "float32"
_dtype = torch.float32
_cuda_graphs = False
_generators: dict[torch.device, torch.Generator] = {}
_seed: int | None = None


def _one_thread() -> None:
    """Compute in one thread, as a process made by fork must.

    fork copies the threads' pool without its threads: a parallel loop would wait for them for ever.
    A process made by spawn has all threads.
    """
    torch.set_num_threads(1)


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_one_thread)


def set_mode_cpu() -> None:
    """Compute on the CPU from now on (the default)."""
    global _device
    _require_precision(_precision, CPU)
    _device = CPU


def set_mode_gpu() -> None:
    """Compute on the GPU chosen by `set_device`. Raises RuntimeError where there is none.

    With CAFFE_GPU_FALLBACK=cpu in the environment it computes on the CPU instead, and warns once.
    """
    global _device
    if not require_gpu(_gpu):
        set_mode_cpu()
        return
    _require_precision(_precision, torch.device("cuda", _gpu))
    _device = torch.device("cuda", _gpu)
    torch.cuda.set_device(_device)  # whose streams are the current ones
    allow_tf32(_precision == "tf32")


def set_device(gpu: int) -> None:
    """Choose the GPU by its number. Raises RuntimeError where there is none of that number.

    With CAFFE_GPU_FALLBACK=cpu in the environment it warns instead, once.
    """
    global _gpu
    gpu = whole_number(gpu, "caffe.set_device")
    if not require_gpu(gpu):
        return
    _gpu = gpu
    if _device.type == "cuda":
        set_mode_gpu()


def require_gpu(gpu: int) -> bool:
    """Raise RuntimeError if PyTorch sees no GPU of that number.

    False, with one warning, where CAFFE_GPU_FALLBACK=cpu says to compute on the CPU instead.
    """
    found = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if 0 <= gpu < found:
        return True
    build = "without CUDA" if torch.version.cuda is None else f"for CUDA {torch.version.cuda}"
    asked = f"GPU {gpu} was asked for, but PyTorch {torch.__version__} (built {build}) sees {found} GPUs"
    if os.environ.get(_FALLBACK, "").lower() == "cpu" and gpu >= 0:
        _warn_once(f"{asked}: {_FALLBACK}=cpu, so the CPU computes")
        return False
    raise RuntimeError(
        f"{asked}: call caffe.set_mode_cpu(), or install a CUDA build of torch and its driver; for a "
        f"script that is to stay as it is, {_FALLBACK}=cpu in the environment lets the CPU compute"
    )


def _warn_once(text: str) -> None:
    global _warned
    if not _warned:
        _warned = True
        warning("common.cpp:0", text)


def set_precision(name: str) -> None:
    """What convolutions and inner products multiply in: "float32" (the default), "tf32" or "bf16".

    Asked for, never assumed: with base_lr 1e-14 and momentum .99 the ten bits of TF32 are not enough.
    Raises ValueError for another name, RuntimeError where the device lacks it.
    """
    global _precision
    if name not in PRECISIONS:
        raise ValueError(f"precision is one of {', '.join(PRECISIONS)}, got {name!r}")
    _require_precision(name, _device)
    _precision = name
    allow_tf32(name == "tf32")


def precision() -> str:
    """The name that `set_precision` was last given."""
    return _precision


def multiply_dtype() -> torch.dtype:
    """What convolutions and inner products multiply in; inside `double_precision` float64."""
    return PRECISIONS[_precision] if _dtype == torch.float32 else _dtype


def precisions(where: torch.device | None = None) -> list[str]:
    """What a device (default: where layers compute) has in hardware."""
    where = _device if where is None else where
    if where.type == "cuda":
        ampere = torch.cuda.get_device_capability(where) >= (8, 0)
        return list(PRECISIONS) if ampere else ["float32"]
    known: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
    has_bf16 = known.get("avx512_bf16") or known.get("amx_bf16") or known.get("bf16")
    return ["float32", "bf16"] if has_bf16 and torch.backends.mkldnn.is_available() else ["float32"]


def _require_precision(name: str, where: torch.device) -> None:
    if name not in precisions(where):
        raise RuntimeError(
            f"precision {name} was asked for, but {name_of(where)} has {', '.join(precisions(where))}: "
            "ask for one of these by caffe.set_precision"
        )


def name_of(where: torch.device) -> str:
    """A device's name, as messages call it."""
    return f"{where} ({torch.cuda.get_device_name(where)})" if where.type == "cuda" else "this CPU"


def allow_tf32(on: bool) -> None:
    """Whether products of float32 may round their factors to TF32; sums are float32 in any case.

    PyTorch has two sets of switches. By the old one alone a convolution without TF32 still follows
    `torch.backends.fp32_precision`, which a user may have set; after the new one alone, reading the
    old raises. So both are set, the old one first.
    """
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch 2.9 warns of the old names
        matmul.allow_tf32 = cudnn.allow_tf32 = on
    for operation in ("conv", "rnn"):
        if hasattr(cudnn, operation):  # since PyTorch 2.9
            getattr(cudnn, operation).fp32_precision = "tf32" if on else "ieee"
    matmul.allow_bf16_reduced_precision_reduction = False


def device() -> torch.device:
    """Where layers compute now."""
    return _device


def set_cuda_graphs(on: bool) -> None:
    """Whether passes over a whole net on a GPU are captured and launched as CUDA graphs (default: no)."""
    global _cuda_graphs
    _cuda_graphs = bool(on)


def cuda_graphs() -> bool:
    """Whether they are, where layers compute now."""
    return _cuda_graphs and on_gpu()


def on_gpu() -> bool:
    """Whether layers compute on a GPU: the host must wait to see a value there."""
    return _device != CPU


def dtype() -> torch.dtype:
    """Number type of new blobs: float32, as in pycaffe; float64 inside `double_precision`."""
    return _dtype


@contextlib.contextmanager
def double_precision() -> Iterator[None]:
    """Blobs made inside are float64: numeric gradients need it. Not part of pycaffe's API."""
    global _dtype
    before, _dtype = _dtype, torch.float64
    try:
        yield
    finally:
        _dtype = before


def set_random_seed(seed: int) -> None:
    """Seed every later draw: fillers, Dropout, DummyData, shuffling."""
    global _seed
    _seed = whole_number(seed, "caffe.set_random_seed")
    for generator in _generators.values():
        generator.manual_seed(_seed)


def generator(where: torch.device | None = None) -> torch.Generator:
    """The random generator of a device (default: where layers compute)."""
    where = _device if where is None else where
    if where not in _generators:
        seed = secrets.randbits(63) if _seed is None else _seed
        _generators[where] = torch.Generator(where).manual_seed(seed)
    return _generators[where]


def generator_states() -> dict[str, str]:
    """The state of each device's random generator, as text."""
    return {
        str(where): base64.b64encode(bytes(each.get_state().tolist())).decode()
        for where, each in _generators.items()
    }


def set_generator_states(states: dict[str, str]) -> None:
    """Set the generators of the devices that are there to such states."""
    for name, text in states.items():
        where = torch.device(name)
        if where.type == "cpu" or torch.cuda.is_available():
            state = torch.frombuffer(bytearray(base64.b64decode(text)), dtype=torch.uint8)
            generator(where).set_state(state)


def set_generators_apart(number: int) -> None:
    """Let the generators go on differently for each number, for workers that had one state."""
    for each in _generators.values():
        drawn = torch.empty((), dtype=torch.int64, device=each.device).random_(generator=each)
        each.manual_seed((int(drawn) + number) % 2**63)


@contextlib.contextmanager
def same_generators() -> Iterator[None]:
    """Whatever is drawn inside, what is drawn afterwards is the same."""
    before = {where: each.get_state() for where, each in _generators.items()}
    try:
        yield
    finally:
        for where in list(_generators):
            if where in before:
                _generators[where].set_state(before[where])
            else:
                del _generators[where]
