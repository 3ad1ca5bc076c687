"""What weights and solver states are in memory, whatever format their file has."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np


class StoredBlob(Protocol):
    """A blob in a file: its shape, and its values, which are read when asked for."""

    shape: list[int]

    @property
    def has_diff(self) -> bool:
        """Whether the file holds the blob's diff, too."""

    def matches(self, shape: Iterable[int]) -> bool:
        """Whether the stored values are those of a blob of that shape."""

    def read_into(self, array: np.ndarray) -> None:
        """Fill a C-contiguous float array of as many values, in row-major order."""

    def read_diff_into(self, array: np.ndarray) -> None:
        """Fill the array with the stored diff."""


# (layer name, its blobs) in file order; None for a blob that the file stores with another layer
StoredWeights: TypeAlias = Sequence[tuple[str, Sequence[StoredBlob | None]]]


class BlobValues(NamedTuple):
    """A blob to write. float64 values are stored as such, all others as float32."""

    shape: Sequence[int]
    data: Any  # an array of that many values
    diff: Any = None  # likewise, or None to store no diff


class SolverState(NamedTuple):
    """What a .solverstate holds besides the weights."""

    iter: int
    learned_net: str  # path of the weights' file; empty if the state names none
    current_step: int  # steps that the learning-rate policy has taken
    history: Sequence[StoredBlob]  # one or two blobs for each learnable parameter
