"""The part of a Net that loads, saves and shares its weights."""

from __future__ import annotations

from .files import weights
from .files.paths import Path
from .files.stored import CopyReport
from .layer import Layer
from .one_thread import OneThread, alone
from .topology import Topology


class NetFiles:
    """A net's weights: from files, to files, in the same memory as another net's."""

    name: str
    layers: list[Layer]
    _topology: Topology
    _one_thread: OneThread

    @alone
    def copy_from(self, path: Path, report: bool = False) -> CopyReport | None:
        """Load weights by layer name from a caffemodel (of any age) or an HDF5 file.

        Layers of the file that the net lacks are skipped; with `report`, what was copied, coerced to
        another shape, missing and ignored is returned. Raises RuntimeError when there is no such file,
        ValueError for a corrupt one or blobs that do not fit; then nothing was changed.
        """
        done = weights.load(self.layers, self._topology.shared_params, path)
        return done if report else None

    @alone
    def load_hdf5(self, path: Path) -> None:
        """Load weights by layer name from an HDF5 file; errors as `copy_from`."""
        weights.load_hdf5(self.layers, self._topology.shared_params, path)

    @alone
    def share_with(self, other: NetFiles) -> None:
        """Use `other`'s weights, in the same memory, for all layers of equal name."""
        weights.share(self.layers, other.layers)

    @alone
    def save(self, path: Path, write_diff: bool = False) -> None:
        """Write the weights, and each layer's definition, as a binary caffemodel."""
        weights.save(self.layers, self.name, path, write_diff)

    @alone
    def save_hdf5(self, path: Path, write_diff: bool = False) -> None:
        """Write the weights as HDF5; weights shared by name once."""
        weights.save_hdf5(self.layers, self._topology.shared_params, path, write_diff)
