"""Reads pictures of every kind, the same way for training, scoring, checking and inference.

A picture is turned upright as its EXIF says, and so are labels and depth: whoever draws or measures
sees the upright picture. Transparency lies on white, and grey, palette and CMYK pictures become RGB.
Of an animation, or of several pages, the first is read. More than 8 bits are scaled to 8: of a picture
that stays below 4096 they are 12, and of one below 256 they are 8, whatever its file has room for.
What is not plain is said: functions that take `notes`, a list, add a sentence to it.
"""

import importlib
import importlib.util
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

UNREADABLE_ERRORS = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)  # Pillow's
ORIENTATION = 0x0112  # EXIF's tag: 1 is upright, 2 to 4 mirrored or upside down, 5 to 8 sideways
SIDEWAYS = (5, 6, 7, 8)  # orientations that exchange height and width
DEPTHS = (8, 12, 16)  # bits of a value; the least that holds all of a picture's is taken
HEIC = (
    b"heic",
    b"heix",
    b"heim",
    b"heis",
    b"hevc",
    b"hevx",
    b"mif1",
    b"msf1",
)  # brands in the header
HEIC_READERS = ("pi_heif", "pillow_heif")
# Values (pixels times channels) that a small file may hold, and how many a byte of a larger one
MOST_VALUES, VALUES_A_BYTE = 1 << 27, 128
# Keys of Image.info that `open_picture` adds
FRAMES, DEEP = "fcn frames", "fcn 16-bit colours"


class Unreadable(ValueError):
    """A picture's path and why it cannot be read."""


# ---- files


def open_picture(path: Path | str) -> Image.Image:
    """A picture, decoded and upright, in the mode that it is stored in.

    Raises what Pillow raises for a file that it cannot read (UNREADABLE_ERRORS).
    """
    with open(path, "rb") as file:
        image = _identified(file)
        require_plausible(image, os.fstat(file.fileno()).st_size)
        several = image.format != "MPO"  # a photograph and what the camera adds to it
        frames = getattr(image, "n_frames", 1) if several else 1
        # Of 16 bits Pillow keeps 8, unless there is one channel alone.
        deep = len(image.getbands()) > 1 and any(
            "16" in str(tile[-1]) for tile in getattr(image, "tile", ())
        )
        image.load()
    image.info |= {FRAMES: frames, DEEP: deep}
    return upright(image)


def _identified(file: BinaryIO) -> Image.Image:
    """A picture whose header is read; ValueError for HEIC if nothing is installed that reads it."""
    try:
        return Image.open(file)
    except UnidentifiedImageError:
        file.seek(0)
        if not is_heic(file.read(12)):
            raise
    if not can_read_heic():
        raise ValueError("HEIC, which Pillow reads with the help of pi-heif: pip install pi-heif")
    file.seek(0)
    return Image.open(file)


def is_heic(header: bytes) -> bool:
    """Whether a file's first twelve bytes are HEIC's."""
    return header[4:8] == b"ftyp" and header[8:12] in HEIC


def can_read_heic() -> bool:
    """Whether something is installed that reads HEIC; Pillow does from then on."""
    reader = next((name for name in HEIC_READERS if importlib.util.find_spec(name)), None)
    if reader:
        importlib.import_module(reader).register_heif_opener()
    return reader is not None


def require_plausible(image: Image.Image, size: int) -> None:
    """ValueError for a picture of far more pixels than its file of `size` bytes lets expect.

    A file of some kilobytes may claim any size; what it claims is what decoding it takes.
    """
    width, height = image.size
    values = width * height * len(image.getbands())
    if values > max(MOST_VALUES, VALUES_A_BYTE * size):
        raise ValueError(
            f"it claims {width}x{height} pixels in {size:,} bytes, and is not decoded. Way out: save it anew"
        )


def upright(image: Image.Image) -> Image.Image:
    """A picture turned as its EXIF says."""
    return image if stored_orientation(image) == 1 else ImageOps.exif_transpose(image)


def read_picture(path: Path | str) -> np.ndarray:
    """Any picture as H x W x 3 uint8 RGB, upright, transparency on white; errors as `open_picture`."""
    return rgb(open_picture(path))


def read_values(path: Path | str) -> np.ndarray:
    """The numbers of a picture as stored, but upright: depth or classes; errors as `open_picture`."""
    return np.asarray(open_picture(path))


# ---- pixels


def rgb(image: Image.Image, notes: list[str] | None = None) -> np.ndarray:
    """A decoded picture of any mode as H x W x 3 uint8 RGB, transparency on white."""
    notes = [] if notes is None else notes
    frames, deep = image.info.get(FRAMES, 1), image.info.get(DEEP, False)
    if frames > 1:
        notes.append(f"of its {frames} frames or pages the first is read")
    if image.mode.startswith(("I", "F")):  # integers of 16 or 32 bits, or floating point
        image = Image.fromarray(eight_bits(np.asarray(image), notes))
    if "A" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    pixels = np.asarray(image if image.mode == "RGB" else image.convert("RGB"))
    if deep and 0 < pixels.max(initial=0) < 16:
        notes.append(
            "its 16-bit colours stay below 4096: read as 12 bits, of which Pillow keeps the upper 4; "
            "8-bit colours would be exact"
        )
        return pixels * np.uint8(17)  # 15 becomes white
    return pixels


def eight_bits(values: np.ndarray, notes: list[str] | None = None) -> np.ndarray:
    """Numbers of any type as uint8: integers by their bits, floats as shares of white or 0 to 255.

    ValueError for numbers that are neither.
    """
    notes = [] if notes is None else notes
    if values.dtype == np.uint8:
        return values
    if values.dtype.kind == "f" and (count := int(np.isnan(values).sum())):
        if count == values.size:
            raise ValueError("its values are all NaN")
        notes.append(f"{count:,} of its {values.size:,} values are NaN, read as 0")
        values = np.where(np.isnan(values), 0, values)
    low, high = values.min(initial=0), values.max(initial=0)
    if values.dtype.kind == "f":
        if low < 0 or high > 255:
            raise ValueError(
                f"its values are from {low:g} to {high:g}: floating point is read as 0 to 1, or as "
                "0 to 255. Way out: give the pixels, before any mean was subtracted"
            )
        return (values * (255 if high <= 1 else 1)).astype(np.uint8)
    bits = next((bits for bits in DEPTHS if high < 2**bits), None)
    if low < 0 or bits is None:
        raise ValueError(f"its values are from {low} to {high}: pixels have 8, 12 or 16 bits")
    if bits < 16:
        notes.append(f"its values stay below {2**bits}: read as {bits} bits")
    return (values * (255 / (2**bits - 1))).round().astype(np.uint8)


def from_array(array: Any, notes: list[str] | None = None) -> np.ndarray:
    """An array or tensor as H x W x 3 uint8 RGB; see `eight_bits` for its numbers.

    It is H x W, or H x W x C with 1 (grey), 3 (RGB) or 4 (RGBA) channels. A PyTorch tensor may be
    C x H x W. ValueError for any other.
    """
    if hasattr(array, "detach"):  # a tensor
        array = array.detach().cpu().numpy()
        if array.ndim == 3 and array.shape[0] in (1, 3, 4) and array.shape[2] not in (1, 3, 4):
            array = array.transpose(1, 2, 0)
    values = np.asarray(array)
    if values.dtype.kind not in "uif":
        hint = (
            "; a mask: .astype(np.uint8) * 255 makes it a picture" if values.dtype == bool else ""
        )
        raise ValueError(f"an array of {values.dtype} is no picture{hint}")
    channels = values.shape[2] if values.ndim == 3 else 1
    if values.ndim not in (2, 3) or channels not in (1, 3, 4) or not values.size:
        raise ValueError(
            f"an array of shape {values.shape} is no picture: it is H x W, or H x W x 3 in RGB"
            + _why_shape(values.shape)
        )
    pixels = np.ascontiguousarray(eight_bits(values, notes))
    if channels == 3:
        return pixels.copy() if pixels is array else pixels
    return rgb(Image.fromarray(pixels[:, :, 0] if values.ndim == 3 and channels == 1 else pixels))


def _why_shape(shape: tuple[int, ...]) -> str:
    """What such a shape usually is, and the way out; "" if nobody knows."""
    if len(shape) == 3 and shape[0] in (1, 3, 4):
        return ". Its channels come first: array.transpose(1, 2, 0) puts them last"
    if len(shape) == 4:
        return ". Several pictures are given as a list: list(array)"
    return ""


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
    if isinstance(error, Image.DecompressionBombError):
        return f"it has over {2 * (Image.MAX_IMAGE_PIXELS or 0):,} pixels. Way out: make it smaller"
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
