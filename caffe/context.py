"""The engine's only global state: mode, device, random seed and number type (src/caffe/common.cpp)."""

import contextlib
import secrets

import torch

CPU = torch.device("cpu")

_device = CPU
_gpu = 0
_dtype = torch.float32
_generators: dict[torch.device, torch.Generator] = {}
_seed: int | None = None


def set_mode_cpu():
    """Compute on the CPU from now on (the default)."""
    global _device
    _device = CPU


def set_mode_gpu():
    """Compute on the GPU chosen by `set_device`. Raises RuntimeError where there is none."""
    global _device
    require_gpu(_gpu)
    # float32 means float32: with base_lr 1e-14 and momentum .99 the ten bits of TF32 are not enough
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    _device = torch.device("cuda", _gpu)


def set_device(gpu):
    """Choose the GPU by its number. Raises RuntimeError where there is none of that number."""
    global _gpu
    require_gpu(gpu)
    _gpu = int(gpu)
    if _device.type == "cuda":
        set_mode_gpu()


def require_gpu(gpu):
    found = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if gpu >= found:
        build = "without CUDA" if torch.version.cuda is None else f"for CUDA {torch.version.cuda}"
        raise RuntimeError(
            f"GPU {gpu} was asked for, but PyTorch {torch.__version__} (built {build}) sees {found} "
            "GPUs: call caffe.set_mode_cpu() (--cpu in the scripts), or install a CUDA build of torch "
            "and its driver"
        )


def device() -> torch.device:
    """Where layers compute now."""
    return _device


def dtype() -> torch.dtype:
    """Number type of new blobs: float32, as in pycaffe; float64 inside `double_precision`."""
    return _dtype


@contextlib.contextmanager
def double_precision():
    """Blobs made inside are float64: numeric gradients need it. Not part of pycaffe's API."""
    global _dtype
    before, _dtype = _dtype, torch.float64
    try:
        yield
    finally:
        _dtype = before


def set_random_seed(seed):
    """Seed every later draw: fillers, Dropout, DummyData, shuffling."""
    global _seed
    _seed = int(seed)
    for generator in _generators.values():
        generator.manual_seed(_seed)


def generator(where: torch.device | None = None) -> torch.Generator:
    """The random generator of a device (default: where layers compute)."""
    where = _device if where is None else where
    if where not in _generators:
        seed = secrets.randbits(63) if _seed is None else _seed
        _generators[where] = torch.Generator(where).manual_seed(seed)
    return _generators[where]
