"""The part of a Net that loads, saves and shares its weights, and copies the net."""

from __future__ import annotations

from collections import OrderedDict

from . import context
from .blob import Blob
from .files import weights
from .files.paths import Path
from .files.stored import CopyReport
from .layer import Layer
from .one_thread import OneThread, alone
from .proto import caffe_pb2
from .running import Running
from .topology import Topology


class NetFiles:
    """A net's weights: from files, to files, in the same memory as another net's, in copies."""

    name: str
    layers: list[Layer]
    blobs: OrderedDict[str, Blob]
    inputs: list[str]
    _running: Running
    _definition: bytes  # the NetParameter that it was built from
    _folder: str | None  # where its prototxt lies
    _own: frozenset[str]  # names of the attributes that every net has
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
        if not isinstance(other, NetFiles):
            raise TypeError(f"share_with takes a net, copy_from a file: got {other!r}")
        weights.share(self.layers, other.layers)

    @alone
    def save(self, path: Path, write_diff: bool = False) -> None:
        """Write the weights, and each layer's definition, as a binary caffemodel."""
        weights.save(self.layers, self.name, path, write_diff)

    @alone
    def save_hdf5(self, path: Path, write_diff: bool = False) -> None:
        """Write the weights as HDF5; weights shared by name once."""
        weights.save_hdf5(self.layers, self._topology.shared_params, path, write_diff)

    # ---- copies

    @alone
    def __reduce__(self):
        """For copy and pickle: the net's definition, its weights, and the inputs as they are.

        The copy is a net of its own, with this one's memory policy and whatever attributes were added
        to it. It computes its maps anew, has no callbacks, and its data layers begin at their start.
        """
        weights = [[blob.copied_data() for blob in layer.blobs] for layer in self.layers]
        inputs = {
            name: (self.blobs[name]._shape, self.blobs[name].copied_data()) for name in self.inputs
        }
        policy = self._running.policy
        built = type(self), self._definition, self._folder
        added = {name: value for name, value in vars(self).items() if name not in self._own}
        return _net_of, (*built, weights, inputs, type(policy).__name__, policy.keep), added


def _net_of(cls, definition, folder, weights, inputs, policy, keep):
    """A net as another was when it was copied. What is drawn afterwards is as if there were no copy."""
    with context.same_generators():
        net = cls.from_param(caffe_pb2.NetParameter.FromString(definition), folder)
    for layer, arrays in zip(net.layers, weights):
        for blob, array in zip(layer.blobs, arrays):
            if array is not None:
                blob.data[...] = array
    built = {name: net.blobs[name]._shape for name in inputs}
    for name, (shape, array) in inputs.items():
        net.blobs[name].set_shape(shape)
        if array is not None:
            net.blobs[name].data[...] = array
    if any(net.blobs[name]._shape != shape for name, shape in built.items()):
        net.reshape()
    if policy != "KeepAll":
        getattr(net, {"Reuse": "reuse_memory", "Recompute": "recompute"}[policy])(keep)
    return net
