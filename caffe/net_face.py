"""The part of a Net that shows it, and the private names that pycaffe's scripts reach for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import arguments, draw, views
from .blob import BlobVec
from .proto import caffe_pb2
from .topology import Topology

# what a net was built with, and how one changes it
_FIXED = {
    "blobs": "net.blobs[name].data[...] = array",
    "params": "net.params[name][0].data[...] = array",
    "layers": "write another prototxt",
    **dict.fromkeys(
        ("inputs", "outputs", "layer_dict", "blob_loss_weights"), "write another prototxt"
    ),
    **dict.fromkeys(("top_names", "bottom_names"), "write another prototxt"),
}


class NetFace:
    """How a net shows itself; pycaffe's private names; answers to calls from before 1.0."""

    _topology: Topology

    def __repr__(self) -> str:
        return views.net_text(self)

    def _repr_html_(self) -> str:
        shapes = {name: blob.shape for name, blob in zip(self._blob_names, self._blobs)}
        return views.net_html(self, draw.svg(self._as_written(), shapes=shapes))

    def _as_written(self) -> caffe_pb2.NetParameter:
        """The net's layers without the splits that Caffe inserts."""
        net = caffe_pb2.NetParameter(name=self._topology.name)
        split_from: dict[str, str] = {}
        for layer in (layer.layer_param for layer in self._topology.layers):
            if layer.type == "Split":
                split_from.update(dict.fromkeys(layer.top, layer.bottom[0]))
                continue
            written = net.layer.add()
            written.CopyFrom(layer)
            written.bottom[:] = [split_from.get(blob, blob) for blob in layer.bottom]
        return net

    def __setattr__(self, name: str, value: object) -> None:
        """Raises AttributeError for what a net was built with, as pycaffe does."""
        if name in _FIXED and name in vars(self):
            raise AttributeError(f"net.{name} is not replaced: {_FIXED[name]}")
        super().__setattr__(name, value)

    if not TYPE_CHECKING:  # to which every attribute would be there

        def __getattr__(self, name):
            raise arguments.missing("'Net' object", name, arguments.OF_A_NET, self)

    @property
    def _blobs(self) -> BlobVec:
        return self._topology.blobs

    @property
    def _blob_loss_weights(self) -> list[float]:
        return self._topology.loss_weights

    @property
    def _blob_names(self) -> list[str]:
        return self._topology.blob_names

    @property
    def _layer_names(self) -> list[str]:
        return self._topology.layer_names

    @property
    def _inputs(self) -> list[int]:
        return self._topology.input_ids

    @property
    def _outputs(self) -> list[int]:
        return self._topology.output_ids

    def _bottom_ids(self, index: int) -> list[int]:
        """Positions in `_blobs` of a layer's bottoms."""
        return self._topology.bottom_ids[index]

    def _top_ids(self, index: int) -> list[int]:
        """Positions in `_blobs` of a layer's tops."""
        return self._topology.top_ids[index]
