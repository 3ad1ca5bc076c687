"""Pictures of segmentations, in PASCAL VOC's colours."""

import importlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont, PngImagePlugin

SOURCE = "fcn source"  # key of a text in the PNG of `save_classes`
BLOCK = 64  # rows that are blended at once, so that huge pictures need no float copy
FONT = "fonts/ttf/DejaVuSans.ttf"  # of matplotlib's: Latin, Greek and Cyrillic letters
TEXT_SIZES = 12, 40  # pixels, of the legend


def make_palette(num_classes: int) -> np.ndarray:
    """VOC's colours, num_classes x 3 uint8: class k's bits go to the high bits of R, G, B in turn."""
    palette = np.zeros((num_classes, 3), dtype=np.uint8)
    labels = np.arange(num_classes)
    for bit in range(8):
        for channel in range(3):
            palette[:, channel] |= ((labels >> (3 * bit + channel) & 1) << (7 - bit)).astype("u1")
    return palette


PALETTE = make_palette(256)


def hex_color(index: int) -> str:
    """A class's colour as in HTML.

    >>> hex_color(15)
    '#c08080'
    """
    return "#" + bytes(PALETTE[index]).hex()


def color_seg(seg: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """H x W class indices as an H x W x 3 picture."""
    return np.asarray(palette)[np.asarray(seg).astype(int)]


def vis_seg(
    img: np.ndarray, seg: np.ndarray, palette: np.ndarray, alpha: float = 0.5
) -> np.ndarray:
    """The colours blended over `img` (H x W x 3) by `alpha`, except where the class is 0."""
    img, seg = np.asarray(img), np.asarray(seg)
    blended = np.empty(img.shape, np.uint8)
    for top in range(0, len(img), BLOCK):
        rows = slice(top, top + BLOCK)
        picture, marked = img[rows].astype(np.float32), seg[rows] > 0
        colours = color_seg(seg[rows][marked], palette)
        picture[marked] = (1 - alpha) * picture[marked] + alpha * colours
        blended[rows] = picture
    return blended


def save_classes(classes: np.ndarray, path: str | Path, source: str = "") -> None:
    """Save H x W class indices as a PNG in VOC's palette: its pixels are the classes.

    A `source`, which tells what they were made from, is kept in the file; `source_of` reads it.
    """
    image = Image.fromarray(np.asarray(classes).astype(np.uint8))
    image.putpalette(PALETTE.tobytes())
    text = PngImagePlugin.PngInfo()
    if source:
        text.add_text(SOURCE, source)
    image.save(path, pnginfo=text)


def source_of(path: str | Path) -> str:
    """The `source` that a file of `save_classes` was given; "" if it has none or is no picture."""
    try:
        with Image.open(path) as image:
            return str(image.info.get(SOURCE, ""))
    except (OSError, SyntaxError, ValueError):
        return ""


def add_legend(picture: Image.Image, rows: Sequence[tuple[int, str]]) -> Image.Image:
    """The picture with a strip on its right: of each (class, text) the colour and the text.

    Class 0, which has no colour over a picture, is an empty square.
    """
    least, most = TEXT_SIZES
    size = min(max(picture.height // 25, least), most)
    fonts = importlib.import_module("matplotlib").get_data_path()  # takes a while to import
    font = ImageFont.truetype(Path(fonts) / FONT, size)
    line, indent = size * 3 // 2, size * 2
    longest = max((font.getlength(text) for _, text in rows), default=0)
    width = picture.width + indent + round(longest) + size // 2
    height = max(picture.height, line * len(rows) + size // 2)
    shown = Image.new("RGB", (width, height), "white")
    shown.paste(picture)
    draw = ImageDraw.Draw(shown)
    for number, (index, text) in enumerate(rows):
        left, top = picture.width + size // 2, size // 2 + number * line
        fill = tuple(PALETTE[index].tolist()) if index else None
        draw.rectangle((left, top, left + size, top + size), fill, outline="black")
        draw.text((picture.width + indent, top + size // 2), text, "black", font, anchor="lm")
    return shown
