"""A parameter in other number types and layouts, as kernels read it."""

from __future__ import annotations

import torch

from .. import context
from ..blob import Blob


class ConvertedParameter:
    """Forms of a parameter, each kept on a GPU until the parameter changes.

    On the CPU nothing is kept: somebody may hold a NumPy view and write unseen.
    """

    def __init__(self, blob: Blob):
        self.blob = blob
        self.forget()

    def forget(self) -> None:
        """Drop all forms."""
        self.version: tuple | None = None
        self.forms: dict[tuple[torch.dtype, torch.memory_format], torch.Tensor] = {}

    def get(
        self, kind: torch.dtype, layout: torch.memory_format = torch.preserve_format
    ) -> torch.Tensor:
        """The parameter as a number type, in a layout."""
        x = self.blob.x
        if not context.on_gpu() or (kind, layout) == (x.dtype, torch.preserve_format):
            return x.to(kind, memory_format=layout)
        memory = self.blob._data
        version = memory, memory.version_despite_views()
        if self.version is None or self.version[0] is not memory or self.version[1] != version[1]:
            self.version, self.forms = version, {}
        if (kind, layout) not in self.forms:
            self.forms[kind, layout] = x.to(kind, memory_format=layout)
        return self.forms[kind, layout]
