"""Where the outputs of layers lie, by the coordinate map, and where each Crop's offset comes from."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

from google.protobuf.json_format import MessageToDict

from caffe import layers as L
from caffe.coord_map import coord_map_from_to, crop_params
from fcn.prototxts import NetParameter

NOT_SETTINGS = ("name", "type", "top", "bottom", "param", "loss_weight", "phase")

Top: TypeAlias = Any  # net_spec's Top
Layers: TypeAlias = list[tuple[Any, Top]]  # each layer of a NetParameter with its first top


def layers_and_tops(net: NetParameter) -> Layers:
    """The layers of a net, each with its first top as net_spec has it, which coord_map needs."""
    result: Layers = []
    blobs: dict[str, Top] = {}
    for layer in (layer for layer in net.layer if layer.top):
        settings = MessageToDict(layer, preserving_proto_field_name=True)
        settings = {key: value for key, value in settings.items() if key not in NOT_SETTINGS}
        bottoms = [blobs[name] for name in layer.bottom]
        tops = getattr(L, layer.type)(*bottoms, ntop=len(layer.top), **settings)
        tops = [tops] if len(layer.top) == 1 else list(tops)
        blobs.update(zip(layer.top, tops))
        result.append((layer, tops[0]))
    return result


def position_map(top: Top, other: Top) -> tuple[float, float] | None:
    """(scale, shift): position i of `top` lies at scale * i + shift of `other`.

    None if the two are not connected, or only by layers that mix positions.
    """
    try:
        _, *both = coord_map_from_to(top, other)
    except RuntimeError:
        return None
    scale, shift = (float(max(v) if hasattr(v, "__len__") else v) for v in both)
    return scale, shift


@dataclass(frozen=True)
class CropPlace:
    """What a Crop does, and what it should do."""

    layer: str
    cropped: str  # the bottom that is cut
    onto: str  # the bottom that it is to lie on
    offset: int  # as the net states it
    scale: float | None  # position i of `cropped` lies at scale * i + shift of `onto`
    shift: float | None
    problem: str  # "" if the offset is the one that follows

    def lines(self) -> Iterator[str]:
        """The explanation."""
        if self.scale is None or self.shift is None:
            yield f"{self.layer}: {self.problem}"
            return
        where = f"lies at {self.scale:g} i {self.shift:+g} of {self.onto}"
        yield f"{self.layer}: [i] of {self.cropped} {where}"
        if self.problem:
            yield f"  PROBLEM: {self.problem}"
        else:
            yield f"  so [{self.offset}] lies on [0]: offset {self.offset}, as in the file"


def crop_places(layers: Iterable[tuple[Any, Top]]) -> Iterator[CropPlace]:
    """Each Crop of a net that has two bottoms."""
    for layer, top in layers:
        if layer.type == "Crop" and len(layer.bottom) == 2:
            yield crop_place(layer, top)


def crop_place(layer: Any, top: Top) -> CropPlace:
    """Where a Crop's offset comes from."""
    cropped, onto = layer.bottom
    stated = int(crop_params(top.fn)[1].max())
    try:
        place = position_map(*top.fn.inputs)
    except (AssertionError, KeyError) as error:  # coord_map's, for settings that it does not take
        why = f"its bottoms cannot be mapped: {error.args[0]}"
        return CropPlace(layer.name, cropped, onto, stated, None, None, why)
    if place is None:
        why = "its bottoms have no picture in common"
        return CropPlace(layer.name, cropped, onto, stated, None, None, why)
    scale, shift = place
    problem = ""
    if scale != 1:
        problem = "their scales differ, so no crop aligns them"
    elif stated != -shift:
        problem = f"so the offset should be {-shift:g}; the file says {stated}"
    return CropPlace(layer.name, cropped, onto, stated, scale, shift, problem)
