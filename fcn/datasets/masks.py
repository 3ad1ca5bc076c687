"""What is wrong with one label file, and with one picture beside its label: for people to read."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from fcn.datasets.dataset import VOID
from fcn.pictures import stored_orientation
from fcn.vis import make_palette
from fcn.wording import counted

NEAR = 12  # JPEG moves a value this far
MANY = 8  # wrong values; more of them, at borders alone, are what JPEG or resizing leaves
HALF = (127, 128)  # white of half the brightness; 128 is also the grey of VOC's grey class
HARDLY = 0.02  # a share of 255's pixels that other classes may have in a mask of 0 and 255
END_OF = {"JPEG": b"\xff\xd9", "PNG": b"IEND"}  # what a whole file ends with


class Fault(NamedTuple):
    """What is wrong with a file."""

    kind: str  # a key of WAYS_OUT
    text: str


class BadLabel(ValueError):
    """A label file that cannot be used; `fault` says why."""

    def __init__(self, text: str, fault: Fault, see: str) -> None:
        """The error's sentence is `text`, then the fault, its way out, and where more is said."""
        super().__init__(f"{text}: {fault.text}. Way out: {WAYS_OUT[fault.kind]} ({see})")
        self.fault = fault


TWO_CLASSES = "state two classes, 'classes': 2 in param_str and num_output: 2 in the score layers"
WAYS_OUT = {
    "rgb": "save class indices, not colours, as a palette PNG: Image.fromarray(classes, 'P')",
    "rgb_voc": "map each colour to its class: fcn.vis.make_palette(256) lists VOC's colours by class",
    "jpeg": "JPEG changes label values: write the masks again, as PNG",
    "mode": "save the class indices as a palette or 8-bit grey PNG",
    "range": "map the values to 0 .. classes - 1, void to 255, or state 'classes' in param_str",
    "binary": "make the object 1 and the rest 0, mask = (mask > 0).astype('uint8'), or mask == 0 if the "
    f"object is 0, and {TWO_CLASSES}",
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
    """A mask with values out of range, as an image or a .mat file has them."""
    if values.dtype != np.uint8:
        small = values.astype(np.uint8)
        if (small != values).any():
            return Fault("range", f"{allowed(classes)}; it has {values_text(values)}")
        values = small
    hist = np.bincount(values.ravel(), minlength=256)
    wrong = np.flatnonzero(hist[classes:VOID]) + classes
    if not wrong.size:
        return None
    pixels = counted(int(hist[wrong].sum()), "pixel")
    kind, why = reason(values, hist, wrong, classes)
    text = f"{allowed(classes)}; {pixels} of value {values_text(wrong)}"
    return Fault(kind, f"{text}; {why}" if why else text)


def reason(
    values: np.ndarray, hist: np.ndarray, wrong: np.ndarray, classes: int
) -> tuple[str, str]:
    """(kind of fault, clause) that explain the wrong values of a mask; hist: pixels of each value."""
    found, greys, total = np.flatnonzero(hist), greys_of_colours(classes), hist.sum()
    is_grey = np.isin(found, [*greys, VOID])
    if len(found) == 2 and found[0] == 0 and (found[1] not in greys or found[1] in HALF):
        return "binary", f"only 0 and {found[1]} occur, so the mask is binary{ground(values)}"
    if wrong.tolist() == [classes] and not hist[0]:
        return "from_one", "none is 0"
    if is_grey.all():
        return "grey_colours", "they are the grey levels of VOC's colours"
    if len(found) <= MANY:
        return "range", ""
    grey = [value for value in wrong if value in greys and hist[value] > 0.01 * total]
    if grey and hist[found[is_grey]].sum() > 0.9 * total:
        return (
            "grey_colours",
            "most are the grey levels of VOC's colours; JPEG or resizing made more",
        )
    if hist[: NEAR + 1].sum() + hist[VOID - NEAR :].sum() > 0.9 * total:
        return "jpeg", "most are near 0 or 255, as JPEG or resizing leaves them"
    if len(wrong) > MANY and scattered(values, classes):
        return "jpeg", "they lie along borders, as JPEG or resizing leaves them"
    return "range", ""


def allowed(classes: int) -> str:
    """The values that a mask may have."""
    return f"0 to {classes - 1} and {VOID} for void are allowed"


def greys_of_colours(classes: int) -> list[int]:
    """What Pillow makes of VOC's colours when it makes them grey: of each class, and of void."""
    colours = make_palette(256)[[*range(classes), VOID]]
    return np.asarray(Image.fromarray(colours[None], "RGB").convert("L")).ravel().tolist()


def ground(values: np.ndarray) -> str:
    """A clause that says so if not 0, but the other value lies along most of a mask's border."""
    edge = np.concatenate([values[0], values[-1], values[:, 0], values[:, -1]])
    share = np.count_nonzero(edge) / edge.size
    if share <= 0.5:
        return ""
    return f", and an inverted one: {values.max()} holds {share:.0%} of the border, where background is"


def scattered(values: np.ndarray, classes: int) -> bool:
    """Whether values out of range lie in no areas: few have equals beside and below them."""
    inner = values[:-1, :-1]
    wrong = (inner >= classes) & (inner < VOID)
    alike = (inner == values[:-1, 1:]) & (inner == values[1:, :-1])
    return bool(np.count_nonzero(wrong & alike) < 0.5 * np.count_nonzero(wrong))


def two_valued(label: np.ndarray, hist: np.ndarray) -> str:
    """What a label of one or two values looks like, given the pixels of each value.

    "binary": 0, 255 and hardly anything else. "inverted": so, and 255 lies along the border.
    "zero": 0 alone. "void": 255 alone. "ones": 0 and 1, or 1 alone. "" for any other.
    """
    others = int(hist[1:VOID].sum())
    if hist[0] and hist[VOID] and others <= HARDLY * hist[VOID]:
        flat = label.reshape(label.shape[-2:])
        return "inverted" if ground(np.where(flat == VOID, VOID, 0)) else "binary"
    if not others:
        return "zero" if hist[0] else "void"
    return "ones" if others == hist[1] and not hist[VOID] else ""


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
