"""Pictures of scenes with what nets found in them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from fcn.datasets.sample import CLASSES

Results = Sequence[tuple[np.ndarray, np.ndarray]]  # (scores, shapes) of each class
COLOURS = (  # of the classes; background's is not drawn
    *("#000000", "#e6194b", "#3cb44b", "#ffe119", "#4363d8", "#f58231"),
    *("#911eb4", "#46f0f0", "#f032e6", "#bcf60c", "#fabebe"),
)
TITLE, SPACE = 16, 4  # pixels


def with_results(picture: np.ndarray, results: Results, least: float = 0.5) -> Image.Image:
    """A picture with the boxes (n, 4) or masks (n, H, W) whose scores are `least` or more."""
    pixels = picture.astype(np.float32)
    for value, (scores, shapes) in enumerate(results):
        colour = np.array(Image.new("RGB", (1, 1), COLOURS[value]))[0, 0]
        for mask in shapes[scores >= least] if shapes.ndim == 3 else ():
            pixels[mask] = 0.4 * pixels[mask] + 0.6 * colour
    image = Image.fromarray(pixels.astype(np.uint8))
    draw = ImageDraw.Draw(image)
    for value, (scores, shapes) in enumerate(results):
        for score, shape in zip(scores, shapes):
            if score < least:
                continue
            x1, y1 = shape[:2] if shape.ndim == 1 else np.argwhere(shape).min(0)[::-1]
            if shape.ndim == 1:
                draw.rectangle(list(shape), outline=COLOURS[value], width=2)
            draw.text((x1 + 3, y1 + 1), f"{CLASSES[value]} {score:.2f}", fill=COLOURS[value])
    return image


def draw_rows(
    pictures: Sequence[np.ndarray], rows: Mapping[str, Sequence[Results]], path: Path
) -> None:
    """Write a picture of rows, each under its title: what one net found in each of the pictures."""
    height, width = (max(each.shape[axis] for each in pictures) + SPACE for axis in (0, 1))
    sheet = Image.new("RGB", (width * len(pictures), (height + TITLE) * len(rows)), "white")
    for row, (title, results) in enumerate(rows.items()):
        top = row * (height + TITLE)
        ImageDraw.Draw(sheet).text((2, top + 2), title, fill="black")
        for column, (picture, found) in enumerate(zip(pictures, results)):
            sheet.paste(with_results(picture, found), (column * width, top + TITLE))
    sheet.save(path)
