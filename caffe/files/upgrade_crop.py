"""Crops without crop_param, as nets of 2014 and 2015 have them."""

from .. import coord_map
from ..glog import warning
from ..proto import caffe_pb2

_UNDEFINED = (
    *(RuntimeError, AssertionError, KeyError),  # what pycaffe's maps raise
    *(coord_map.UndefinedMapException, coord_map.AxisMismatchException),
)


def upgrade_crops(param: caffe_pb2.NetParameter, name: str) -> None:
    """Give a Crop of two bottoms that has no crop_param the offset by its bottoms' coordinate map.

    Crop came with the branch of Caffe that the first FCNs were trained on (BVLC/caffe#1639), had no
    settings, and computed the offset from the map. Caffe 1.0 gave it crop_param, whose default
    offset is 0, and coord_map.crop, which writes crop_param in full: a Crop without one is the old
    one. At offset 0 its scores lie as many pixels off as the map says, without an error.

    One line tells what was set. Nothing is changed, and nothing said, where the offset is 0; and
    nothing is changed where the map gives none, which a warning tells: there 1.0's offset of 0
    holds, as it does wherever crop_param is stated, be it `crop_param { offset: 0 }`.
    """
    if not any(map(_is_old, param.layer)):
        return
    found = []
    for layer, fn in coord_map.functions_of(param):
        if not _is_old(layer):
            continue
        try:
            axis, offset = coord_map.axis_and_offset(*fn.inputs)
        except _UNDEFINED as error:
            warning("upgrade_crop:0", f"{name}: {_undefined(layer, error)}")
            continue
        if any(offset):
            layer.crop_param.axis = axis
            layer.crop_param.offset[:] = offset
            fn.params["crop_param"] = {"axis": axis, "offset": offset}  # for the Crops above
            found.append(f"'{layer.name}' {', '.join(map(str, dict.fromkeys(offset)))}")
    if found:
        warning(
            "upgrade_crop:0",
            f"{name}: Crop without crop_param: offset from the coordinate map, as Caffe computed it "
            f"before 1.0: {'; '.join(found)} (crop_param {{ offset: 0 }} keeps 0)",
        )


def _is_old(layer: caffe_pb2.LayerParameter) -> bool:
    return layer.type == "Crop" and len(layer.bottom) == 2 and not layer.HasField("crop_param")


def _undefined(layer: caffe_pb2.LayerParameter, error: Exception) -> str:
    """Why a Crop gets no offset, and the way out."""
    return (
        f"layer '{layer.name}' (Crop) has no crop_param and cuts at offset 0: the coordinate map from "
        f"'{layer.bottom[0]}' to '{layer.bottom[1]}' gives no offset ({error.args[0]}); state "
        "crop_param { axis: 2 offset: ... }"
    )
