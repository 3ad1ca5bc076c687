"""Keeps the first pictures of each scoring in the run's folder, for the report.

    pictures/ID.input.jpg             what the net saw, its mean added again
    pictures/ID.truth.png             the true classes, in the palette
    pictures/LAYER/iter_N/ID.png      what the net said at iteration N

Of nets with two scores the truth of `score_geo` is ID.truth_geo.png.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fcn.datasets.dataset import VOID
from fcn.vis import save_classes

FOLDER = "pictures"
LONGEST = 500  # of a kept picture's sides


class Keeper:
    """Keeps the first `count` pictures of one scoring; see `keep`."""

    def __init__(
        self,
        folder: str | Path,
        layer: str,
        iteration: int,
        count: int = 6,
        mean: Sequence[float] | None = None,
        order: str = "BGR",
    ):
        """For the run's `folder`, a score blob and an iteration.

        `mean` is what the data layer subtracted from the input, and `order` the order of its
        channels ("RGB": HHA). Without a mean, or if there are not three channels, the input is
        shown from its least to its greatest value.
        """
        self.folder = Path(folder) / FOLDER
        self.predictions = self.folder / layer / f"iter_{int(iteration)}"
        self.truth = f"truth{ending(layer)}.png"
        self.mean, self.order, self.left = mean, order, count

    @property
    def full(self) -> bool:
        """True if no more pictures are wanted, so that they need not be fetched from a GPU."""
        return self.left <= 0

    def keep(self, id: str, data: Any, truth: Any, prediction: Any) -> None:
        """Write a picture's files; what is not of this scoring is written only once.

        `data` is the input blob's, 1 x C x H x W or C x H x W; `truth` and `prediction` are classes,
        H x W, with any axes of length one before.
        """
        if self.full:
            return
        self.left -= 1
        name = file_name(id)
        self.predictions.mkdir(parents=True, exist_ok=True)
        picture, label = self.folder / f"{name}.input.jpg", self.folder / f"{name}.{self.truth}"
        if not picture.exists():
            shown = Image.fromarray(as_picture(data, self.mean, self.order))
            shown.thumbnail((LONGEST, LONGEST), Image.Resampling.LANCZOS)
            shown.save(picture, quality=90)
        if not label.exists():
            save_classes(small(truth), label)
        save_classes(small(prediction), self.predictions / f"{name}.png")


def as_picture(data: Any, mean: Sequence[float] | None = None, order: str = "BGR") -> np.ndarray:
    """A net's input as a picture, H x W x 3 uint8 RGB; see `Keeper`."""
    planes = np.asarray(data, np.float64)
    planes = planes.reshape(-1, *planes.shape[-2:])
    if len(planes) == 3 and mean is not None:
        planes = planes + np.asarray(mean, np.float64).reshape(-1, 1, 1)
    else:
        planes = planes if len(planes) == 3 else planes[:1].repeat(3, axis=0)
        least, greatest = np.nanmin(planes), np.nanmax(planes)
        planes = (planes - least) * (255 / max(greatest - least, 1e-12))
    planes = np.nan_to_num(planes).round().clip(0, 255).astype(np.uint8)
    return np.ascontiguousarray((planes[::-1] if order == "BGR" else planes).transpose(1, 2, 0))


def small(classes: Any) -> np.ndarray:
    """Class indices, H x W uint8, of at most LONGEST a side; what is no class is void."""
    values = np.asarray(classes)
    values = values.reshape(values.shape[-2:])
    values = np.where((values >= 0) & (values < VOID), values, VOID).astype(np.uint8)
    height, width = values.shape
    scale = LONGEST / max(height, width)
    if scale >= 1:
        return values
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(Image.fromarray(values).resize(size, Image.Resampling.NEAREST))


def ending(layer: str) -> str:
    """What tells a score blob from others of its net: "" of `score`, "_geo" of `score_geo`."""
    return layer.removeprefix("score") if layer.startswith("score_") else ""


def file_name(id: str) -> str:
    """A picture's id as a file's name."""
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in str(id))
