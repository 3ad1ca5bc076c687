"""Reads pictures of every kind, the same way for training, scoring, checking and inference.

A picture is turned upright as its EXIF says, and so are labels and depth: whoever draws or measures
sees the upright picture. Transparency lies on white, 16 bits are scaled to 8, and grey, palette and
CMYK pictures become RGB.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

UNREADABLE_ERRORS = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)  # Pillow's
ORIENTATION = 0x0112  # EXIF's tag: 1 is upright, 2 to 4 mirrored or upside down, 5 to 8 sideways
SIDEWAYS = (5, 6, 7, 8)  # orientations that exchange height and width


class Unreadable(ValueError):
    """A picture's path and why it cannot be read."""


# ---- files


def open_picture(path: Path | str) -> Image.Image:
    """A picture, decoded and upright, in the mode that it is stored in.

    Raises what Pillow raises for a file that it cannot read (UNREADABLE_ERRORS).
    """
    with open(path, "rb") as file:
        image = Image.open(file)
        image.load()
    return image if stored_orientation(image) == 1 else ImageOps.exif_transpose(image)


def read_picture(path: Path | str) -> np.ndarray:
    """Any picture as H x W x 3 uint8 RGB, upright, transparency on white; errors as `open_picture`."""
    return rgb(open_picture(path))


def read_values(path: Path | str) -> np.ndarray:
    """The numbers of a picture as stored, but upright: depth or classes; errors as `open_picture`."""
    return np.asarray(open_picture(path))


def rgb(image: Image.Image) -> np.ndarray:
    """A decoded picture of any mode as H x W x 3 uint8 RGB, transparency on white."""
    if image.mode.startswith("I"):  # 16 bits a pixel, in whatever integer type Pillow has them
        image = Image.fromarray((np.asarray(image).clip(0, 65535) / 257).round().astype(np.uint8))
    elif image.mode == "F":  # floating point: fractions of white, or 0 to 255
        values = np.nan_to_num(np.asarray(image))
        scale = 255 if values.max() <= 1 else 1
        image = Image.fromarray((values * scale).clip(0, 255).astype(np.uint8))
    if "A" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))


def subtract_mean(pixels: np.ndarray, mean: Any) -> np.ndarray:
    """H x W x C pixels minus the mean, as C x H x W float32; subtracted in double, as in Caffe."""
    planes = np.empty((pixels.shape[2], *pixels.shape[:2]), np.float32)
    means = np.broadcast_to(np.asarray(mean, np.float64), pixels.shape[2:])
    for plane, stored, value in zip(planes, pixels.transpose(2, 0, 1), means):
        np.subtract(stored, value, out=plane, dtype=np.float64, casting="same_kind")
    return planes


def reason(error: Exception, path: Path | str) -> str:
    """An error's text without the path, which is printed before it."""
    if isinstance(error, UnidentifiedImageError):
        return "no picture, or of a kind that Pillow does not know"
    text = error.strerror or str(error) if isinstance(error, OSError) else str(error)
    return text.replace(f" {str(path)!r}", " this file")


# ---- orientation


def stored_orientation(image: Image.Image) -> int:
    """The orientation in a picture's EXIF, 1 to 8; 1 if there is none, or none that makes sense."""
    try:
        value = image.getexif().get(ORIENTATION, 1)
    except Exception:  # Pillow raises half a dozen unrelated types on broken EXIF
        return 1
    return value if value in range(1, 9) else 1


def orientation(path: Path | str) -> int:
    """The orientation in a file's EXIF, 1 to 8; 1 for a file that is no picture. Reads its header."""
    try:
        with Image.open(path) as image:
            return stored_orientation(image)
    except UNREADABLE_ERRORS:
        return 1


def why_sizes_differ(sizes: Mapping[str, tuple[int, ...]], files: Mapping[str, Path]) -> str:
    """What explains that files of one scene differ in size, and the way out; "" if nothing does.

    `sizes` are height and width, upright, by what the files are ("data", "label"); `files` may lack
    some that are no pictures.
    """
    turned = {what: orientation(path) for what, path in files.items()}
    for what, value in turned.items():
        stored = tuple(reversed(sizes[what]))
        others = [other for other in sizes if other != what]
        if value in SIDEWAYS and all(sizes[other] == stored for other in others):
            height, width = stored
            plural = "s have" if len(others) > 1 else " has"
            return (
                f"{files[what]} is stored turned: its EXIF orientation is {value}, and pictures are "
                f"read upright, as EXIF says. The {' and '.join(others)}{plural} the size of the "
                f"picture as stored, {height}x{width}, so whoever made that did not heed EXIF. "
                f"Way out: turn the {' and '.join(others)} as EXIF says, or take the tag away "
                "(exiftool -Orientation= FILE), so that the picture is read as stored"
            )
    if len({tuple(sorted(size)) for size in sizes.values()}) == 1:
        return (
            "height and width are exchanged: one of the files is turned by 90 degrees, and no EXIF "
            "orientation says which. Way out: turn it back"
        )
    return ""
