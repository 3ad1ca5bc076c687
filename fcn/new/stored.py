"""Reads stored masks of any kind: values, palettes, colours, one bit, 16 bits."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
from PIL import Image

from fcn import pictures

# What stands for a class in a mask: a value, a colour, or the label of a drawn shape
Colour: TypeAlias = tuple[int, int, int]
Key: TypeAlias = int | Colour | str

VALUES, PALETTE, COLOURS, LABELS = "values", "palette", "colours", "labels"  # kinds of masks
INDEXED = ("P", "L")  # modes that the data layer reads
BLACK: Colour = (0, 0, 0)


class Mask(NamedTuple):
    """A mask: codes, and what they stand for."""

    codes: np.ndarray  # H x W: values, colours as 0xRRGGBB, or numbers of labels
    kind: str
    stands_for: Mapping[int, Key] = {}  # of PALETTE the colours, of LABELS the labels
    plain: bool = False  # whether the file holds class indices in a form that the data layer reads
    jpeg: bool = False
    left_out: int = 0  # shapes without an area, of LABELS

    def counts(self) -> dict[int, int]:
        """Code -> pixels. Counted by runs of equal pixels, which masks have few of."""
        flat = self.codes.ravel()
        starts = np.flatnonzero(np.r_[True, flat[1:] != flat[:-1]])
        lengths = np.diff(np.r_[starts, flat.size])
        codes, where = np.unique(flat[starts], return_inverse=True)
        pixels = np.bincount(where.ravel(), weights=lengths).astype(np.int64)
        return dict(zip(codes.tolist(), pixels.tolist()))


def read(path: Path) -> Mask:
    """A mask in a picture file; errors as `pictures.open_picture`."""
    image = pictures.open_picture(path)
    jpeg = image.format == "JPEG" or path.suffix.lower() in (".jpg", ".jpeg")
    if image.mode == "P" and "transparency" not in image.info:
        codes = np.asarray(image)
        flat = image.getpalette("RGB") or []
        colours = list(zip(flat[::3], flat[1::3], flat[2::3]))
        seen = np.flatnonzero(np.bincount(codes.ravel(), minlength=256)).tolist()
        table = {k: colours[k] if k < len(colours) else BLACK for k in seen}
        return Mask(codes, PALETTE, table, plain=path.suffix.lower() == ".png")
    if image.mode in ("L", "1") or image.mode.startswith("I"):
        plain = image.mode == "L" and not jpeg and path.suffix.lower() == ".png"
        return Mask(np.asarray(image).astype(np.int32), VALUES, plain=plain, jpeg=jpeg)
    return of_colours(image, jpeg)


def of_colours(image: Image.Image, jpeg: bool) -> Mask:
    """A mask of colours; what is transparent is black. Three equal channels are values."""
    if image.mode == "RGB" and "transparency" not in image.info:
        rgb = np.asarray(image)
    else:
        rgba = np.asarray(image.convert("RGBA"))
        rgb = np.where(rgba[..., 3:] > 0, rgba[..., :3], 0).astype(np.uint8)
    if (rgb == rgb[..., :1]).all():
        return Mask(rgb[..., 0].astype(np.int32), VALUES, jpeg=jpeg)
    codes = rgb.astype(np.int32) @ np.array([1 << 16, 1 << 8, 1], np.int32)
    return Mask(codes, COLOURS, jpeg=jpeg)


def colour_of(code: int) -> Colour:
    """0xRRGGBB as a colour."""
    return code >> 16, code >> 8 & 255, code & 255


def key_of(mask_kind: str, stands_for: Mapping[int, Key], code: int, by_colour: bool) -> Key:
    """What a code of a mask stands for: its value, or its colour if classes go by colours."""
    if mask_kind == COLOURS:
        return colour_of(code)
    if mask_kind == LABELS or (by_colour and mask_kind == PALETTE):
        return stands_for[code]
    return (min(code, 255),) * 3 if by_colour else code


def shown(key: Key) -> str:
    """A key as --map takes it.

    >>> shown((128, 0, 0)), shown(255)
    ('128,0,0', '255')
    """
    return ",".join(map(str, key)) if isinstance(key, tuple) else str(key)
