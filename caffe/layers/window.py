"""WindowData: windows of pictures, as R-CNN trains on them
(src/caffe/layers/window_data_layer.cpp)."""

import math

import numpy as np

from ..layer import register
from .source import Source
from .transform import read_mean, read_picture, resize


@register
class WindowData(Source):
    """Windows cut from pictures, as R-CNN samples them: a share of foreground, the rest background.

    `source` repeats: `# index`, path, channels, height, width, number of windows, and for each
    window its class, overlap, x1, y1, x2, y2. Windows of overlap fg_threshold and more are
    foreground, below bg_threshold background, class 0. Each is scaled to crop_size, with
    context_pad cells around it.
    """

    size_where = "window_data_layer.cpp:185"

    def open(self):
        p, transform = self.param, self.layer_param.transform_param
        self.size = transform.crop_size
        if self.size <= 2 * p.context_pad:
            raise self.error(
                f"crop_size {self.size} must exceed twice the context_pad {p.context_pad}"
            )
        if p.crop_mode not in ("warp", "square"):
            raise self.error(f"crop_mode must be warp or square, got '{p.crop_mode}'")
        self.foreground, self.background = [], []
        try:
            with open(p.source) as file:
                self.read_windows(file.read().split("\n"))
        except OSError as error:
            raise self.error(f"source, the list of windows: {error}") from error
        if not (self.foreground and self.background):
            raise self.error(
                f"{p.source}: windows of both kinds are needed, got {len(self.foreground)} of "
                f"foreground, {len(self.background)} of background"
            )
        mean = read_mean(self, transform.mean_file) if transform.mean_file else None
        if mean is not None:
            off = (mean.shape[2] - self.size) // 2
            mean = mean[:, off : off + self.size, off : off + self.size]
        elif transform.mean_value:
            mean = np.array(transform.mean_value, np.float32)[:, None, None]
        self.mean = mean

    def read_windows(self, lines):
        tokens = iter(" ".join(lines).split())
        try:
            for mark in tokens:
                if mark != "#":
                    raise ValueError(f"'#' expected, got '{mark}'")
                next(tokens)
                path = self.param.root_folder + next(tokens)
                for _ in range(3):  # channels, height, width: the picture itself tells
                    next(tokens)
                for _ in range(int(next(tokens))):
                    label, overlap = int(next(tokens)), float(next(tokens))
                    self.sort(path, label, overlap, [int(next(tokens)) for _ in range(4)])
        except (ValueError, StopIteration, RuntimeError) as error:
            raise self.error(f"{self.param.source} is no list of windows: {error}") from error

    def sort(self, path, label, overlap, box):
        if overlap >= self.param.fg_threshold:
            if label < 1:
                raise ValueError(f"a foreground window must have a class above 0, got {label}")
            self.foreground.append((path, label, box))
        elif overlap < self.param.bg_threshold:
            self.background.append((path, 0, box))

    def batch(self):
        foreground = int(self.batch_size * self.param.fg_fraction)
        kinds = [self.background] * (self.batch_size - foreground) + [self.foreground] * foreground
        drawn = [self.random.choice(kind) for kind in kinds]
        pictures = [self.cut(path, box) for path, _, box in drawn]
        return np.stack(pictures), np.array([label for _, label, _ in drawn], np.float32)

    def cut(self, path, box):
        """One window as (C, crop_size, crop_size); cells outside the picture are 0."""
        transform = self.layer_param.transform_param
        mirror = transform.mirror and self.random.randrange(2)
        try:
            picture = read_picture(path, True)
        except OSError as error:
            raise self.error(f"cannot read picture {path}: {error}") from error
        (y1, y2), (top, bottom, height) = self.place(
            box[1::2], picture.shape[1], self.grown(box, 1)
        )
        (x1, x2), (left, right, width) = self.place(box[0::2], picture.shape[2], self.grown(box, 0))
        part = resize(picture[:, y1 : y2 + 1, x1 : x2 + 1], height, width).astype(np.float32)
        if mirror:
            part, left = part[:, :, ::-1], min(right, self.size - width)
        inside = (slice(None), slice(top, top + height), slice(left, left + width))
        window = np.zeros((len(part), self.size, self.size), np.float32)
        if self.mean is not None:
            part = part - np.broadcast_to(self.mean, window.shape)[inside]
        window[inside] = part * transform.scale
        return window

    def grown(self, box, axis) -> float | None:
        """Half the length of the window with its context along an axis; None if it has none."""
        if not self.param.context_pad and self.param.crop_mode == "warp":
            return None
        halves = [(box[i + 2] - box[i] + 1) / 2 for i in (0, 1)]
        half = max(halves) if self.param.crop_mode == "square" else halves[axis]
        return half * self.size / (self.size - 2 * self.param.context_pad)

    def place(self, ends, length, half):
        """Along one axis: (first, last) cell of the picture, and (cells before, after, size) in the
        scaled window."""
        first, last = ends
        if half is None:
            return (first, last), (0, 0, self.size)
        centre = first + (last - first + 1) / 2
        first, last = rounded(centre - half), rounded(centre + half)
        scale = self.size / (last - first + 1)
        before, after = max(0, -first), max(0, last - length + 1)
        first, last = first + before, last - after
        before, after = rounded(before * scale), rounded(after * scale)
        size = min(rounded((last - first + 1) * scale), self.size - before)
        return (first, last), (before, after, size)


def rounded(value) -> int:
    """To the nearest whole number, halves away from zero, as C does it."""
    return int(math.copysign(math.floor(abs(value) + 0.5), value))
