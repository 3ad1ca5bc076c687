"""Fillers: the initial values of parameters and of DummyData's tops (include/caffe/filler.hpp).

Values are drawn on the CPU whatever device computes, so that CPU and CUDA
start alike from one seed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from . import context
from .blob import Blob
from .machine_memory import device_memory
from .proto.caffe_pb2 import FillerParameter

if TYPE_CHECKING:
    from .layer import Layer

_LARGE = 1 << 28  # bytes from which on it is asked what the machine has


def add_filled(layer: Layer, shape: Sequence[int], filler_param: FillerParameter) -> None:
    """Give a layer one more parameter, filled. Errors as `fill`."""
    layer.blobs.add_blob(*shape)
    fill(layer, layer.blobs[-1], filler_param)


def fill(layer: Layer, blob: Blob, filler_param: FillerParameter) -> None:
    """Fill a layer's fresh blob as a FillerParameter says. ValueError, naming the layer, for a
    setting that cannot be met.

    A fresh blob is zero already: the default filler leaves its memory unallocated.
    """
    try:
        _fill(blob, filler_param)
    except ValueError as error:
        raise layer.error(str(error)) from error


def _fill(blob, filler_param):
    if filler_param.type not in FILLERS:
        raise ValueError(f"unknown filler type '{filler_param.type}'; known: {', '.join(FILLERS)}")
    if filler_param.sparse != -1 and filler_param.type != "gaussian":
        raise ValueError(f"sparse belongs to the gaussian filler, not to {filler_param.type}")
    if filler_param.type == "constant" and filler_param.value == 0 or not blob.count:
        return
    require_room(blob)
    values = torch.empty(tuple(blob.shape), dtype=context.dtype(), device=context.CPU)
    FILLERS[filler_param.type](values, filler_param, context.generator(context.CPU))
    blob.x = values.to(context.device())


def require_room(blob: Blob) -> None:
    """Raise ValueError if the machine has not the memory for a large blob's values."""
    wanted = blob.count * context.dtype().itemsize
    if wanted < _LARGE:
        return
    room = device_memory(context.CPU)[1]
    if wanted > room:
        raise ValueError(
            f"{wanted / 2**30:.1f} GiB for a parameter of shape {list(blob.shape)}, and "
            f"{room / 2**30:.1f} are free"
        )


def constant(values: torch.Tensor, param: FillerParameter, generator: torch.Generator) -> None:
    """All values are `value`."""
    values.fill_(param.value)


def uniform(values: torch.Tensor, param: FillerParameter, generator: torch.Generator) -> None:
    """Values between `min` and `max`."""
    if param.min > param.max:
        raise ValueError(f"uniform filler: min {param.min} exceeds max {param.max}")
    values.uniform_(param.min, param.max, generator=generator)


def gaussian(values: torch.Tensor, param: FillerParameter, generator: torch.Generator) -> None:
    """With `sparse`, about that many values survive for each index of the first axis."""
    if not param.std > 0:
        raise ValueError(f"gaussian filler: std must be above 0, got {param.std}")
    values.normal_(param.mean, param.std, generator=generator)
    if param.sparse == -1:
        return
    survives = param.sparse / values.shape[0] if values.dim() else math.nan
    if not 0 <= survives <= 1:
        raise ValueError(
            f"gaussian filler: sparse {param.sparse} must lie between 0 and the first dimension of "
            f"shape {list(values.shape)}"
        )
    values.mul_(torch.empty_like(values).bernoulli_(survives, generator=generator))


def positive_unitball(
    values: torch.Tensor, param: FillerParameter, generator: torch.Generator
) -> None:
    """Uniform, then every slice along the first axis scaled to the sum 1."""
    rows = values.uniform_(0, 1, generator=generator).view(values.shape[0], -1)
    rows.div_(rows.sum(1, keepdim=True))


def xavier(values: torch.Tensor, param: FillerParameter, generator: torch.Generator) -> None:
    """Uniform values of variance 1 / fan (Glorot and Bengio 2010)."""
    bound = math.sqrt(3 / fan(values, param))
    values.uniform_(-bound, bound, generator=generator)


def msra(values: torch.Tensor, param: FillerParameter, generator: torch.Generator) -> None:
    """Normal values of variance 2 / fan (He et al. 2015)."""
    values.normal_(0, math.sqrt(2 / fan(values, param)), generator=generator)


def fan(values: torch.Tensor, param: FillerParameter) -> float:
    """Number of values that a variance is normalised by; an axis that is missing counts as 1.

    As in Caffe it follows from the shape alone, whatever the axes mean to the layer: of a
    deconvolution or a transposed inner product, "fan in" is the fan out.
    """
    count, shape = values.numel(), values.shape
    fan_in = count / shape[0] if len(shape) > 0 else count
    fan_out = count / shape[1] if len(shape) > 1 else count
    return {
        param.FAN_IN: fan_in,
        param.FAN_OUT: fan_out,
        param.AVERAGE: (fan_in + fan_out) / 2,
    }[param.variance_norm]


def bilinear(values: torch.Tensor, param: FillerParameter, generator: torch.Generator) -> None:
    """Interpolation by the kernel's size, alike in every plane: only group keeps channels apart."""
    if values.dim() != 4 or values.shape[2] != values.shape[3]:
        raise ValueError(
            f"bilinear filler: four axes and a square kernel are needed, got {list(values.shape)}"
        )
    factor = math.ceil(values.shape[3] / 2)
    centre = (values.shape[3] - 1) / (2 * factor)
    cells = torch.arange(values.shape[3], dtype=values.dtype, device=values.device)
    side = 1 - (cells / factor - centre).abs()
    values.copy_(side[:, None] * side)


FILLERS = {
    filler.__name__: filler
    for filler in (constant, uniform, gaussian, positive_unitball, xavier, msra, bilinear)
}
