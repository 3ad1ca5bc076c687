"""LabelMe's annotations: a JSON file for each picture, with labelled shapes, the later on top."""

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fcn import pictures
from fcn.new import shapes
from fcn.new.stored import LABELS, Mask

MALFORMED = (LookupError, TypeError, AttributeError)  # of JSON that is not what it should be
MOST_PIXELS = 1 << 27
BACKGROUND = "background"  # the label of what no shape covers
ALSO_BACKGROUND = ("_background_", "__background__")


def read(path: Path, size: tuple[int, int]) -> Mask:
    """The mask that a file's shapes draw on a picture of `size`, (height, width), if it states none.

    ValueError for what is no file of LabelMe's.
    """
    content = load(path)
    drawn = content.get("shapes")
    if not isinstance(drawn, list):
        raise ValueError("no annotation of LabelMe's: it has no list of shapes")
    height, width = stated_size(content.get("imageHeight"), content.get("imageWidth"), size)
    labelled = [
        (label := str(shape.get("label")), f"shape {number} ({label})", shape)
        for number, shape in enumerate(drawn, 1)
    ]
    return draw(labelled, inside, height, width)


def stated_size(height: Any, width: Any, size: tuple[int, int]) -> tuple[int, int]:
    """The height and width that annotations state, or those of the picture, `size`.

    ValueError for what is no size, and for one that no picture has.
    """
    height, width = height or size[0], width or size[1]
    whole = all(isinstance(side, int) and side > 0 for side in (height, width))
    if not whole or height * width > MOST_PIXELS:
        raise ValueError(f"it states a picture of height {height!r} and width {width!r}")
    return height, width


def load(path: Path) -> dict[str, Any]:
    """The object in a JSON file; ValueError if there is none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise ValueError(f"not JSON: {error}") from None
    if not isinstance(content, dict):
        raise ValueError("no annotation: the JSON is no object")
    return content


def draw(labelled: list[tuple[str, str, Any]], area: Any, height: int, width: int) -> Mask:
    """The mask of (label, what to call it, shape)s, the later on top.

    area(shape, height, width) is H x W bool, or None for a shape without one, such as a line, which is
    left out and counted. ValueError for a shape that cannot be drawn.
    """
    codes = np.zeros((height, width), np.int32)
    numbers = {BACKGROUND: 0}
    left_out = 0
    for label, called, shape in labelled:
        name = BACKGROUND if label in ALSO_BACKGROUND else label
        try:
            covered = area(shape, height, width)
        except (*MALFORMED, *pictures.UNREADABLE_ERRORS, ArithmeticError) as error:
            why = f"it has no {error}" if isinstance(error, KeyError) else error
            raise ValueError(f"{called} cannot be drawn: {why}") from error
        if covered is None:
            left_out += 1
            continue
        codes[covered] = numbers.setdefault(name, len(numbers))
    return Mask(
        codes, LABELS, {number: name for name, number in numbers.items()}, left_out=left_out
    )


def inside(shape: dict[str, Any], height: int, width: int) -> np.ndarray | None:
    """The pixels that a shape covers; None for points and lines."""
    kind, points = shape.get("shape_type") or "polygon", shape.get("points") or []
    if kind == "polygon" and len(points) > 2:
        return shapes.polygon(points, height, width)
    if kind == "rectangle" and len(points) == 2:
        return shapes.rectangle(points[0], points[1], height, width)
    if kind == "circle" and len(points) == 2:
        return shapes.circle(points[0], points[1], height, width)
    if kind == "mask" and shape.get("mask"):
        with Image.open(io.BytesIO(base64.b64decode(shape["mask"]))) as image:
            return shapes.placed(np.asarray(image) > 0, points[0], height, width)
    return None
