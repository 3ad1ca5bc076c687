"""What a net reads of a scene: colours, depth or HHA, as the data layers yield it.

Each is given as a file's path, a Pillow picture, an array or a tensor.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fcn.datasets.nyud import MEAN_HHA, log_depth
from fcn.pictures import (
    UNREADABLE_ERRORS,
    Unreadable,
    from_array,
    open_picture,
    reason,
    rgb,
    stored_orientation,
    subtract_mean,
    upright,
    why_sizes_differ,
)


def read_color(source: Any, notes: list[str] | None = None) -> np.ndarray:
    """Colours, H x W x 3 uint8 RGB; `notes` gets what is to be said of them."""
    if is_path(source):
        return rgb(open_picture(source), notes)
    if isinstance(source, Image.Image):
        if notes is not None and stored_orientation(source) != 1:
            notes.append("turned upright, as its EXIF says")
        return rgb(upright(source), notes)
    return from_array(require_array(source), notes)


def require_array(source: Any) -> Any:
    """What NumPy reads as an array; ValueError for anything else that is given as a picture."""
    pillows = "__array_interface__"
    if isinstance(source, list) or hasattr(source, "__array__") or hasattr(source, pillows):
        return source
    what = "None" if source is None else f"an object of type {type(source).__name__}"
    raise ValueError(f"{what} is no picture; a path, a Pillow picture, an array or a tensor is")


def read_depth(source: Any, notes: list[str] | None = None) -> np.ndarray:
    """Depth in millimetres, H x W; ValueError for what `nyud.log_depth` refuses."""
    if is_path(source):
        source = open_picture(source)
    given = require_array(source)
    depth = np.asarray(given.detach().cpu() if hasattr(given, "detach") else given)
    log_depth(depth)
    return depth


READ = {"color": read_color, "hha": read_color, "depth": read_depth}
PREPARE = {  # (picture as read, the task's mean) -> C x H x W, as the data layers yield it
    "color": lambda pixels, mean: subtract_mean(pixels[:, :, ::-1], mean),  # BGR
    "hha": lambda pixels, mean: subtract_mean(pixels, MEAN_HHA),  # as stored
    "depth": lambda depth, mean: log_depth(depth),
}


def read_inputs(
    sources: Sequence[Any], kinds: Mapping[str, str], notes: list[str] | None = None
) -> dict[str, np.ndarray]:
    """Input blob -> picture, from one source for each of `kinds`, which maps blobs to keys of READ.

    Raises Unreadable for one that cannot be read and if the pictures differ in size.
    """
    pictures = {}
    for source, (blob, kind) in zip(sources, kinds.items()):
        try:
            pictures[blob] = READ[kind](source, notes)
        except UNREADABLE_ERRORS as error:
            name = name_of(source)
            raise Unreadable(f"{name}: cannot be read: {reason(error, name)}") from error
    sizes = {kind: pictures[blob].shape[:2] for blob, kind in kinds.items()}
    if len(set(sizes.values())) > 1:
        names = [name_of(source) for source in sources]
        each = ", ".join(f"{name} {h}x{w}" for name, (h, w) in zip(names, sizes.values()))
        files = {kind: source for kind, source in zip(sizes, sources) if is_path(source)}
        why = why_sizes_differ(sizes, files)
        text = f"{names[0]}: sizes differ (height x width): {each}"
        raise Unreadable(f"{text}. {why}" if why else text)
    return pictures


def is_path(source: Any) -> bool:
    """Whether a picture is given by its file's path."""
    return isinstance(source, str | os.PathLike)


def name_of(source: Any) -> str:
    """What a message calls a picture: its file's path, or what is given instead."""
    if isinstance(source, Image.Image):
        return str(getattr(source, "filename", "") or "the picture")
    if is_path(source):
        return str(Path(source))
    return "the array" if hasattr(source, "__array__") else "what was given"
