"""Fillers that forks of Caffe added."""

from __future__ import annotations

import torch

from ...filler import FILLERS
from ...proto.caffe_pb2 import FillerParameter


def identity(values: torch.Tensor, param: FillerParameter, generator: torch.Generator) -> None:
    """dilation's: each output takes over the inputs of its group, at the kernel's centre, on N(mean, std)
    noise where `std` is stated; num_groups groups, or one for each input. `value` scales it."""
    if values.dim() != 4:
        raise ValueError(f"identity filler: four axes are needed, got {list(values.shape)}")
    outputs, inputs, height, width = values.shape
    groups = param.num_groups or inputs
    if outputs % groups or inputs % groups:
        raise ValueError(
            f"identity filler: {groups} groups must divide {outputs} outputs and {inputs} inputs"
        )
    values.zero_()
    if param.HasField("std"):
        values.normal_(param.mean, param.std, generator=generator)
    share = groups / outputs * (param.value if param.HasField("value") else 1)
    centre = (
        values[:, :, height // 2, width // 2].unflatten(0, (groups, -1)).unflatten(2, (groups, -1))
    )
    for i in range(groups):
        centre[i, :, i] = share


FILLERS["identity"] = identity
