"""Reads pictures of every kind, depth and HHA, and makes of them what the nets' data layers yield."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from fcn.datasets.data_layer import subtract_mean
from fcn.datasets.nyud import MEAN_HHA, log_depth

UNREADABLE_ERRORS = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)  # Pillow's


class Unreadable(ValueError):
    """A picture's path and why it cannot be read."""


def read_picture(path: Path | str) -> np.ndarray:
    """Any picture as H x W x 3 uint8 RGB, upright as its EXIF says, transparency on white.

    Raises what Pillow raises for a file that it cannot read (UNREADABLE_ERRORS).
    """
    with Image.open(path) as file:
        file.load()
        image: Image.Image = ImageOps.exif_transpose(file)
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
    return np.asarray(image.convert("RGB"))


def read_depth(path: Path | str) -> np.ndarray:
    """Depth in millimetres, H x W; ValueError for what `nyud.log_depth` refuses."""
    with Image.open(path) as image:
        depth = np.asarray(image)
    log_depth(depth)
    return depth


READ = {"color": read_picture, "hha": read_picture, "depth": read_depth}
PREPARE = {  # (picture as read, the task's mean) -> C x H x W, as the data layers yield it
    "color": lambda pixels, mean: subtract_mean(pixels[:, :, ::-1], mean),  # BGR
    "hha": lambda pixels, mean: subtract_mean(pixels, MEAN_HHA),  # as stored
    "depth": lambda depth, mean: log_depth(depth),
}


def read_inputs(paths: Sequence[Path], kinds: Mapping[str, str]) -> dict[str, np.ndarray]:
    """Input blob -> picture, from one file for each of `kinds`, which maps blobs to keys of READ.

    Raises Unreadable for a file that cannot be read and if the pictures differ in size.
    """
    pictures = {}
    for path, (blob, kind) in zip(paths, kinds.items()):
        try:
            pictures[blob] = READ[kind](path)
        except UNREADABLE_ERRORS as error:
            raise Unreadable(f"{path}: cannot be read: {reason(error, path)}") from error
    sizes = [picture.shape[:2] for picture in pictures.values()]
    if len(set(sizes)) > 1:
        each = ", ".join(f"{path} {h}x{w}" for path, (h, w) in zip(paths, sizes))
        raise Unreadable(f"{paths[0]}: sizes differ (height x width): {each}")
    return pictures


def reason(error: Exception, path: Path) -> str:
    """An error's text without the path, which is printed before it."""
    if isinstance(error, UnidentifiedImageError):
        return "no picture, or of a kind that Pillow does not know"
    text = error.strerror or str(error) if isinstance(error, OSError) else str(error)
    return text.replace(f" {str(path)!r}", " this file")
