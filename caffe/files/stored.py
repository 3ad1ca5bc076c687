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


class CopyReport(NamedTuple):
    """What `copy_from` did: names of layers, and of coerced blobs their two shapes."""

    path: str
    copied: list[str]  # layers that were filled
    coerced: list[tuple[str, int, list[int], list[int]]]  # (layer, parameter, file's, net's shape)
    missing: list[str]  # layers of the net with weights that the file does not fill
    ignored: list[str]  # layers of the file with weights that the net does not have
    # of these, (layer of the net, layer of the file) where the shapes leave only one
    proposed: Sequence[tuple[str, str]] = ()

    def __str__(self) -> str:
        """A line for each of the four kinds, and one for what is proposed."""
        shapes = [
            f"{name}[{k}] {'x'.join(map(str, theirs))} to {'x'.join(map(str, ours))}"
            for name, k, theirs, ours in self.coerced
        ]
        rows: tuple[tuple[str, list[str]], ...] = (
            ("copied", self.copied),
            ("coerced", shapes),
            ("missing", self.missing),
            ("ignored", self.ignored),
        )
        if self.proposed:
            pairs = [f"{mine} from {theirs}" for mine, theirs in self.proposed]
            rows += (("proposed", pairs),)
        lines = [
            f"  {what:8} {len(names):3}" + (f"  {', '.join(names)}" if names else "")
            for what, names in rows
        ]
        return "\n".join([self.path, *lines])
