"""WindowData: windows of pictures, as R-CNN trains on them
(src/caffe/layers/window_data_layer.cpp)."""

import os
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from ..c_math import c_round
from ..files import allowed
from ..layer import register
from .data import PrefetchingData
from .transform import read_mean, resize


class Window(NamedTuple):
    """A box in a picture, all four sides inside it, and its class (0: background)."""

    path: str
    label: int
    box: Sequence[int]  # x1, y1, x2, y2


@register
class WindowData(PrefetchingData):
    """Windows cut from pictures, as R-CNN samples them: a share of foreground, the rest background.

    `source` repeats: `# index`, path, channels, height, width, number of windows, and for each
    window its class, overlap, x1, y1, x2, y2. Windows with an overlap of at least fg_threshold are
    foreground; those below bg_threshold are background, class 0. Each window is scaled to crop_size,
    with context_pad cells around it.
    """

    size_where = "window_data_layer.cpp:185"

    def open(self) -> None:
        """Read the list of windows."""
        p, transform = self.param, self.layer_param.transform_param
        self.size = transform.crop_size
        if self.size <= 2 * p.context_pad:
            raise self.error(
                f"crop_size {self.size} must exceed twice the context_pad {p.context_pad}"
            )
        if p.crop_mode not in ("warp", "square"):
            raise self.error(f"crop_mode must be warp or square, got '{p.crop_mode}'")
        self.foreground: list[Window] = []
        self.background: list[Window] = []
        try:
            with open(
                allowed.to_read(os.fsdecode(p.source)), encoding="utf-8", errors="surrogateescape"
            ) as file:
                self.read_windows(self.words_of(file))
        except OSError as error:
            raise self.error(f"source, the list of windows: {error}") from error
        if not (self.foreground and self.background):
            raise self.error(
                f"{p.source}: windows of both kinds are needed, got {len(self.foreground)} of "
                f"foreground, {len(self.background)} of background"
            )
        self.mean = self.window_mean()

    def window_mean(self) -> np.ndarray | None:
        """The mean to subtract: the middle of the mean picture, or one value a channel."""
        transform = self.layer_param.transform_param
        if transform.mean_file:
            mean = read_mean(self, transform.mean_file)
            start = (mean.shape[2] - self.size) // 2
            return mean[:, start : start + self.size, start : start + self.size]
        if transform.mean_value:
            return np.array(transform.mean_value, np.float32)[:, None, None]
        return None

    def words_of(self, file: Iterable[str]) -> Iterator[str]:
        """The words of the list; `line` is the number of the last one's line."""
        self.line = 0
        for self.line, text in enumerate(file, 1):
            yield from text.split()

    def read_windows(self, words: Iterator[str]) -> None:
        """Read the list of windows, word by word."""
        try:
            for mark in words:
                if mark != "#":
                    raise ValueError(f"'#' expected, got '{mark}'")
                next(words)
                path = os.fsdecode(self.param.root_folder) + next(words)
                for _ in range(3):  # channels, height, width: the picture itself has them
                    next(words)
                for _ in range(int(next(words))):
                    label, overlap = int(next(words)), float(next(words))
                    box = [int(next(words)) for _ in range(4)]
                    self.add_window(Window(path, label, box), overlap)
        except (ValueError, StopIteration) as error:
            reason = error if str(error) else "the list ends where a window should stand"
            source = os.fsdecode(self.param.source)
            raise self.error(f"{source}, line {self.line}: no list of windows: {reason}") from error

    def add_window(self, window: Window, overlap: float) -> None:
        """Add a window to foreground or background, as its overlap says."""
        if overlap >= self.param.fg_threshold:
            if window.label < 1:
                raise ValueError(
                    f"a foreground window must have a class above 0, got {window.label}"
                )
            self.foreground.append(window)
        elif overlap < self.param.bg_threshold:
            self.background.append(window._replace(label=0))

    def batch(self) -> tuple[np.ndarray, np.ndarray]:
        """The next batch: windows (N, C, H, W) and their classes (N)."""
        foreground = int(self.batch_size * self.param.fg_fraction)
        kinds = [self.background] * (self.batch_size - foreground) + [self.foreground] * foreground
        windows = [self.random.choice(kind) for kind in kinds]
        pictures = [self.cut(window) for window in windows]
        return np.stack(pictures), np.array([window.label for window in windows], np.float32)

    def cut(self, window: Window) -> np.ndarray:
        """One window as (C, crop_size, crop_size); cells outside the picture are 0."""
        transform, box = self.layer_param.transform_param, window.box
        mirror = transform.mirror and self.random.randrange(2)
        picture = self.read_picture(window.path, True)
        (y1, y2), (top, _, height) = self.place(
            box[1::2], picture.shape[1], self.half_with_context(box, 1)
        )
        (x1, x2), (left, right, width) = self.place(
            box[0::2], picture.shape[2], self.half_with_context(box, 0)
        )
        part = resize(picture[:, y1 : y2 + 1, x1 : x2 + 1], height, width).astype(np.float32)
        if mirror:
            part, left = part[:, :, ::-1], min(right, self.size - width)
        inside = (slice(None), slice(top, top + height), slice(left, left + width))
        result = np.zeros((len(part), self.size, self.size), np.float32)
        if self.mean is not None:
            part = part - np.broadcast_to(self.mean, result.shape)[inside]
        result[inside] = part * transform.scale
        return result

    def half_with_context(self, box: Sequence[int], axis: int) -> float | None:
        """Half the window's length with its context, on axis 0 (x) or 1 (y); None without any."""
        if not self.param.context_pad and self.param.crop_mode == "warp":
            return None
        halves = [(box[i + 2] - box[i] + 1) / 2 for i in (0, 1)]
        half = max(halves) if self.param.crop_mode == "square" else halves[axis]
        return half * self.size / (self.size - 2 * self.param.context_pad)

    def place(
        self, ends: Sequence[int], length: int, half: float | None
    ) -> tuple[tuple[int, int], tuple[int, int, int]]:
        """Where a window lies along one axis of a picture of `length` cells, and of the result.

        Returns (first, last) cell of the picture, and (empty cells before, empty cells after, filled
        cells) of the result.
        """
        first, last = ends
        if half is None:
            return (first, last), (0, 0, self.size)
        centre = first + (last - first + 1) / 2
        first, last = c_round(centre - half), c_round(centre + half)
        scale = self.size / (last - first + 1)
        before, after = max(0, -first), max(0, last - length + 1)
        first, last = first + before, last - after
        before, after = c_round(before * scale), c_round(after * scale)
        size = min(c_round((last - first + 1) * scale), self.size - before)
        return (first, last), (before, after, size)
