"""Topology: the description of a built net. Net is its face, caffe/running runs it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from .blob import Blob, BlobVec, RawBlobVec
from .layer import Layer


@dataclass
class Topology:
    """The layers of a net, its blobs, and which layer reads and writes which blob.

    Layers stand in the order in which they run. A blob's id is its position in `blobs`, a layer's
    index its position in `layers`; the lists of a layer's bottoms and tops follow the prototxt.
    """

    name: str
    phase: int
    layers: list[Layer] = field(default_factory=list)
    blobs: BlobVec = field(default_factory=BlobVec)
    blob_names: list[str] = field(default_factory=list)
    loss_weights: list[float] = field(default_factory=list)  # of each blob
    bottom_ids: list[list[int]] = field(default_factory=list)  # of each layer
    top_ids: list[list[int]] = field(default_factory=list)
    input_ids: list[int] = field(default_factory=list)  # tops of Input layers
    output_ids: list[int] = field(default_factory=list)  # tops that no layer reads
    layer_need_backward: list[bool] = field(default_factory=list)
    bottom_need_backward: list[Sequence[bool]] = field(default_factory=list)
    learnable_params: list[Blob] = field(default_factory=list)
    params_lr: list[float | None] = field(default_factory=list)  # None: the prototxt states none
    params_weight_decay: list[float | None] = field(default_factory=list)
    # (layer index, parameter index) of each parameter that belongs to an earlier layer
    shared_params: set[tuple[int, int]] = field(default_factory=set)

    @cached_property
    def bottoms(self) -> list[RawBlobVec]:
        """The bottom blobs of each layer."""
        return [RawBlobVec(self.blobs[i] for i in ids) for ids in self.bottom_ids]

    @cached_property
    def tops(self) -> list[RawBlobVec]:
        """The top blobs of each layer."""
        return [RawBlobVec(self.blobs[i] for i in ids) for ids in self.top_ids]

    @cached_property
    def layer_names(self) -> list[str]:
        """The name of each layer; names may come twice."""
        return [layer.layer_param.name for layer in self.layers]

    @property
    def last(self) -> int:
        """The index of the last layer."""
        return len(self.layers) - 1

    def sources(self) -> list[int]:
        """Ids of the blobs that layers without bottoms make: inputs and data."""
        rows = zip(self.layers, self.top_ids)
        return [i for layer, ids in rows if not layer.layer_param.bottom for i in ids]
