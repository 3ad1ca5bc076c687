"""Draws the embedded task's scenes and crops: light handwritten digits on darkened photographs.

Digits (load_digits, 1,797 samples) are split by sample, photographs (load_sample_images) by halves.
So what is scored shares neither handwriting nor background with what is trained on.
"""

from functools import lru_cache

import numpy as np
from PIL import Image
from scipy import ndimage
from sklearn.datasets import load_digits, load_sample_images

from fcn.datasets.dataset import VOID

HEIGHT, WIDTH = 180, 240
SMALLEST, LARGEST = 56, 112  # side of a digit's 8 x 8 tile, in pixels
BRIGHTNESS = (0.5, 0.7)  # the share of their brightness that photographs keep

# Role -> (share of the digits from, to; half of each photograph)
ROLES = {
    "train": ((0.0, 0.7), "right"),
    "tune": ((0.7, 0.8), "right"),
    "val": ((0.8, 0.9), "left"),
    "infer": ((0.9, 1.0), "left"),
}


@lru_cache
def digits(role: str) -> tuple[np.ndarray, np.ndarray]:
    """The tiles, N x 8 x 8 in 0..1, and the digits, N, that belong to a role.

    The split is the same for every seed, so roles never share samples across seeds either.
    """
    bunch = load_digits()
    order = np.random.RandomState(0).permutation(len(bunch.target))
    start, stop = (int(share * len(order)) for share in ROLES[role][0])
    mine = order[start:stop]
    return bunch.images[mine] / 16, bunch.target[mine]


@lru_cache
def photographs(role: str) -> list[np.ndarray]:
    """The half of each photograph that belongs to a role, H x W x 3 uint8 RGB.

    The brighter half is darkened to the mean of the other.
    """
    halves = []
    for image in load_sample_images().images:
        middle = image.shape[1] // 2
        half = {"left": image[:, :middle], "right": image[:, middle:]}
        level = min(part.mean() for part in half.values())
        mine = half[ROLES[role][1]]
        halves.append((mine * (level / mine.mean())).astype(np.uint8))
    return halves


def background(rng: np.random.RandomState, role: str, height: int, width: int) -> np.ndarray:
    """A darkened crop of a photograph at a random scale, perhaps mirrored, H x W x 3 float."""
    images = photographs(role)
    image = images[rng.randint(len(images))]
    largest = min(image.shape[0] / max(height, HEIGHT), image.shape[1] / max(width, WIDTH))
    zoom = rng.uniform(0.8, largest)
    h, w = int(height * zoom), int(width * zoom)
    y, x = rng.randint(image.shape[0] - h + 1), rng.randint(image.shape[1] - w + 1)
    crop = Image.fromarray(image[y : y + h, x : x + w]).resize(
        (width, height), Image.Resampling.BILINEAR
    )
    pixels = np.asarray(crop, np.float32)
    if rng.rand() < 0.5:
        pixels = pixels[:, ::-1]
    return pixels * rng.uniform(*BRIGHTNESS)


def ink(tile: np.ndarray, size: int) -> np.ndarray:
    """An 8 x 8 tile enlarged to size x size: the share of ink of each pixel, 0..1."""
    smooth = np.asarray(
        Image.fromarray(tile.astype(np.float32)).resize((size, size), Image.Resampling.BICUBIC)
    )
    return np.clip((smooth - 0.25) * 2.5, 0, 1)  # a stroke with a soft edge rather than a blur


def paste(
    pixels: np.ndarray,
    labels: np.ndarray,
    drawn: np.ndarray,
    value: int,
    y: int,
    x: int,
    shade: float,
) -> None:
    """Draw ink of brightness `shade` with its upper left corner at (y, x), and label it `value`.

    The ink may reach over the border.
    """
    top, left = max(y, 0), max(x, 0)
    part = drawn[top - y : pixels.shape[0] - y, left - x : pixels.shape[1] - x]
    spot = slice(top, top + part.shape[0]), slice(left, left + part.shape[1])
    pixels[spot] += part[:, :, None] * (shade - pixels[spot])
    labels[spot][part > 0.5] = value


def scene(rng: np.random.RandomState, role: str) -> tuple[np.ndarray, np.ndarray]:
    """A picture, H x W x 3 uint8 RGB, and its classes, H x W uint8: two to four separate digits."""
    tiles, values = digits(role)
    pixels = background(rng, role, HEIGHT, WIDTH)
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    taken: list[tuple[int, int, int, int]] = []  # top, left, bottom, right of each digit
    for _ in range(rng.randint(2, 5)):
        pick, size = rng.randint(len(values)), rng.randint(SMALLEST, LARGEST + 1)
        for _ in range(20):  # look for a free place
            y, x = rng.randint(HEIGHT - size + 1), rng.randint(WIDTH - size + 1)
            if all(
                y >= y1 or x >= x1 or y + size <= y0 or x + size <= x0 for y0, x0, y1, x1 in taken
            ):
                taken.append((y, x, y + size, x + size))
                drawn = ink(tiles[pick], size)
                paste(pixels, labels, drawn, values[pick] + 1, y, x, rng.uniform(225, 255))
                break
    return pixels.clip(0, 255).astype(np.uint8), labels


def with_borders(labels: np.ndarray) -> np.ndarray:
    """Labels with VOID on both sides of where two classes meet, as VOC marks them."""
    ring = ndimage.maximum_filter(labels, 3) != ndimage.minimum_filter(labels, 3)
    return np.where(ring, VOID, labels).astype(np.uint8)


def crop(
    rng: np.random.RandomState, role: str, side: int, plain: bool = False
) -> tuple[np.ndarray, int]:
    """A picture for the classifier, side x side x 3 uint8 RGB, and its class; 0 shows no digit."""
    tiles, values = digits(role)
    if plain:
        pixels = np.full((side, side, 3), rng.uniform(20, 110, 3), np.float32)
    else:
        pixels = background(rng, role, side, side)
    labels = np.zeros((side, side), np.uint8)
    value = rng.randint(11)
    if value:
        pick = rng.choice(np.flatnonzero(values == value - 1))
        size = rng.randint(SMALLEST, LARGEST + 1)
        y, x = ((side - size) / 2 + rng.uniform(-12, 12, 2)).astype(int)
        paste(pixels, labels, ink(tiles[pick], size), value, y, x, rng.uniform(225, 255))
    return pixels.clip(0, 255).astype(np.uint8), value
