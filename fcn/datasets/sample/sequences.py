"""Short videos of the embedded task: a scene that is panned over, or digits that move before a still one."""

import numpy as np

from fcn.datasets.sample.scenes import (
    HEIGHT,
    LARGEST,
    SMALLEST,
    WIDTH,
    background,
    digits,
    ink,
    paste,
    with_borders,
)

Frame = tuple[np.ndarray, np.ndarray]  # picture H x W x 3 uint8 RGB, classes H x W uint8 with VOID


def panned(rng: np.random.RandomState, role: str, frames: int, shift: int) -> list[Frame]:
    """A window that moves by `shift` pixels a frame over a wide scene with a digit every 120 pixels or so."""
    width = WIDTH + shift * (frames - 1)
    pixels = background(rng, role, HEIGHT, width)
    labels = np.zeros((HEIGHT, width), np.uint8)
    x = rng.randint(0, 40)
    while x < width - SMALLEST:
        size = rng.randint(SMALLEST, min(LARGEST, width - x) + 1)
        add_digit(rng, role, pixels, labels, size, rng.randint(HEIGHT - size + 1), x)
        x += size + rng.randint(5, 60)
    pixels, labels = pixels.clip(0, 255).astype(np.uint8), with_borders(labels)
    windows = [slice(k * shift, k * shift + WIDTH) for k in range(frames)]
    return [(pixels[:, window], labels[:, window]) for window in windows]


def moving(
    rng: np.random.RandomState, role: str, frames: int, speed: int, count: int = 2
) -> list[Frame]:
    """Digits that move by `speed` pixels a frame, the upper one to the right, the lower to the left."""
    still = background(rng, role, HEIGHT, WIDTH)
    tiles, values = digits(role)
    found = []
    picks = [(rng.randint(len(values)), rng.randint(SMALLEST, HEIGHT // 2)) for _ in range(count)]
    ways = [max(0, WIDTH - size - speed * (frames - 1)) for _, size in picks]
    starts = [rng.randint(0, way + 1) for way in ways]
    light = rng.uniform(225, 255, count)
    for k in range(frames):
        pixels, labels = still.copy(), np.zeros((HEIGHT, WIDTH), np.uint8)
        for which, (pick, size) in enumerate(picks):
            x = min(starts[which] + k * speed, WIDTH - size)
            x = x if which == 0 else WIDTH - size - x
            y = which * HEIGHT // 2
            drawn = ink(tiles[pick], size)
            paste(pixels, labels, drawn, values[pick] + 1, y, x, light[which])
        found.append((pixels.clip(0, 255).astype(np.uint8), with_borders(labels)))
    return found


def one_moving(rng: np.random.RandomState, role: str, frames: int, speed: int) -> list[Frame]:
    """One digit that moves."""
    return moving(rng, role, frames, speed, 1)


def add_digit(
    rng: np.random.RandomState,
    role: str,
    pixels: np.ndarray,
    labels: np.ndarray,
    size: int,
    y: int,
    x: int,
) -> None:
    """Paste a random digit."""
    tiles, values = digits(role)
    pick = rng.randint(len(values))
    paste(pixels, labels, ink(tiles[pick], size), values[pick] + 1, y, x, rng.uniform(225, 255))
