"""What is wrong with one label file, and with one picture beside its label: for people to read."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from fcn.datasets.dataset import VOID
from fcn.pictures import stored_orientation
from fcn.vis import make_palette

NEAR = 12  # JPEG moves a value this far
END_OF = {"JPEG": b"\xff\xd9", "PNG": b"IEND"}  # what a whole file ends with


class Fault(NamedTuple):
    """What is wrong with a file."""

    kind: str  # rgb, jpeg, mode, range, from_one, grey_colours, size, unreadable
    text: str


WAYS_OUT = {
    "rgb": "save class indices, not colours, as a palette PNG: Image.fromarray(classes, 'P')",
    "rgb_voc": "map each colour to its class: fcn.vis.make_palette(256) lists VOC's colours by class",
    "jpeg": "JPEG changes label values: write the masks again, as PNG",
    "mode": "save the class indices as a palette or 8-bit grey PNG",
    "range": "map the values to 0 .. classes - 1, void to 255, or state 'classes' in param_str",
    "from_one": "classes count from 0: subtract 1, or state one class more",
    "grey_colours": "the masks were colours: map colours to classes before they become grey",
    "size": "write picture and mask in the same size",
    "exif": "turn the pictures upright (ImageOps.exif_transpose) and save them, or turn the masks",
    "unreadable": "restore these files, or take them off the split's list",
}


def explain(path: Path, classes: int) -> Fault | None:
    """Why a label file that is an image cannot be used; None if no reason is seen."""
    try:
        with Image.open(path) as image:
            image.load()
            return of_image(image, classes)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None


def of_image(image: Image.Image, classes: int) -> Fault | None:
    """What is wrong with a decoded mask of values 0 .. classes - 1 and VOID; None if nothing is."""
    if image.format == "JPEG":
        return Fault("jpeg", f"a JPEG ({image.mode})")
    if image.mode in ("RGB", "RGBA"):
        return of_colours(np.asarray(image.convert("RGB")))
    if image.mode not in ("P", "L"):
        return Fault("mode", f"mode {image.mode}, not P or L")
    return of_values(np.asarray(image), classes)


def of_colours(pixels: np.ndarray) -> Fault:
    """A mask with three channels."""
    packed = pixels.astype(np.uint32) @ np.array([65536, 256, 1], np.uint32)
    found = np.unique(packed)
    voc = (
        make_palette(256)[:, :].astype(np.uint32) @ np.array([65536, 256, 1], np.uint32)
    ).tolist()
    if np.isin(found, voc).all() and not np.isin(found, [0, 0xFFFFFF]).all():
        classes = sorted(voc.index(value) for value in found.tolist())
        return Fault("rgb_voc", f"RGB in the colours of VOC's classes {classes[:9]}")
    if (pixels == pixels[..., :1]).all():
        return Fault(
            "rgb", f"RGB, all three channels alike, with values {values_text(pixels[..., 0])}"
        )
    return Fault("rgb", f"RGB with {len(found)} colours")


def values_text(values: np.ndarray, most: int = 9) -> str:
    """The values of an array for people."""
    found = np.unique(values).tolist()
    return ", ".join(map(str, found[:most])) + (", ..." if len(found) > most else "")


def of_values(values: np.ndarray, classes: int) -> Fault | None:
    """A mask with values out of range."""
    hist = np.bincount(values.ravel(), minlength=256)
    wrong = np.flatnonzero(hist[classes:VOID]) + classes
    if not wrong.size:
        return None
    pixels = int(hist[wrong].sum())
    text = (
        f"{pixels} pixels have values {values_text(wrong)}; 0 to {classes - 1} and 255 are allowed"
    )
    found = np.flatnonzero(hist)
    near = hist[: NEAR + 1].sum() + hist[VOID - NEAR :].sum()
    if len(found) > 8 and near > 0.9 * hist.sum():
        return Fault("jpeg", f"{text}; most are near 0 or 255, as JPEG or resizing leaves them")
    if wrong.tolist() == [classes] and not hist[0]:
        return Fault("from_one", f"{text}; none is 0")
    colours = make_palette(classes)
    greys = np.asarray(Image.fromarray(colours[None], "RGB").convert("L")).ravel()
    if np.isin(found, [*greys, VOID]).all():
        return Fault("grey_colours", f"{text}; they are the grey levels of VOC's colours")
    return Fault("range", text)


def permuted(image: Image.Image, classes: int) -> dict[int, int]:
    """Index -> VOC class of its colour, where a palette has VOC's colours in another order."""
    palette = image.getpalette() if image.mode == "P" else None
    if not palette:
        return {}
    colours = np.asarray(palette, np.uint8).reshape(-1, 3)[:classes]
    voc = {tuple(colour): k for k, colour in enumerate(make_palette(classes).tolist())}
    given = [voc.get(tuple(colour)) for colour in colours.tolist()]
    if None in given or len(set(given)) < len(given):
        return {}
    return {k: int(to) for k, to in enumerate(given) if to is not None and to != k}


def is_cut(path: Path) -> bool:
    """Whether a JPEG or PNG lacks its end; a file of any other kind never does."""
    kind = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG"}.get(path.suffix.lower())
    if kind is None:
        return False
    with open(path, "rb") as file:
        file.seek(max(0, path.stat().st_size - 512))
        tail = file.read()
    if END_OF[kind] in tail:
        return False
    try:
        with Image.open(path) as image:
            image.load()
    except (OSError, SyntaxError, ValueError):
        return True
    return False


def size_and_orientation(path: Path) -> tuple[tuple[int, int], int]:
    """((height, width) as stored, EXIF orientation) of a picture, from its header alone."""
    with Image.open(path) as image:
        return image.size[::-1], stored_orientation(image)
