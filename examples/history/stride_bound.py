"""The best mean IU that scores of a stride can reach: the truth itself, made coarse and fine again.

    python examples/history/stride_bound.py                          # the embedded task's scenes
    python examples/history/stride_bound.py data/voc/SegmentationClass/*.png

The question of section 6 of the FCN paper (PAMI 2017), which answers it for VOC: 50.9, 73.3, 86.1, 92.8,
96.4 and 98.5 for factors of 128, 64, 32, 16, 8 and 4. Writes stride_bound.png.
"""

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

from fcn.datasets.sample.scenes import scene, with_borders
from fcn.measures import fast_hist, scores

STRIDES = (128, 64, 32, 16, 8, 4, 2)
PAPER = {128: 0.509, 64: 0.733, 32: 0.861, 16: 0.928, 8: 0.964, 4: 0.985}  # on VOC
CLASSES = 256  # numbers that a mask can hold; 255 is none
VOID = 255


def coarse(labels: np.ndarray, stride: int) -> np.ndarray:
    """Labels, one for each cell of stride x stride pixels, enlarged again: the most frequent class of a cell.

    VOID has no say, unless there is nothing else in a cell.
    """
    height, width = (-(-side // stride) for side in labels.shape)
    found = np.empty((height, width), labels.dtype)
    for y, x in np.ndindex(height, width):
        cell = labels[y * stride : (y + 1) * stride, x * stride : (x + 1) * stride]
        counts = np.bincount(cell.ravel(), minlength=CLASSES)
        counts[VOID] = 0
        found[y, x] = counts.argmax() if counts.any() else VOID
    return found.repeat(stride, 0).repeat(stride, 1)[: labels.shape[0], : labels.shape[1]]


def bound(masks: list[np.ndarray], stride: int) -> float:
    """Mean IU of the masks made coarse, against the masks."""
    hist = sum(fast_hist(mask.ravel(), coarse(mask, stride).ravel(), VOID) for mask in masks)
    return float(scores(np.asarray(hist))["mean_iu"])


def main() -> None:
    """Print a row a stride, and draw them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("masks", nargs="*", type=Path, help="palette PNG files, classes as values")
    parser.add_argument("--out", type=Path, default=Path("stride_bound.png"), help="(%(default)s)")
    args = parser.parse_args()
    if args.masks:
        masks = [np.asarray(Image.open(path)) for path in args.masks]
    else:
        rng = np.random.RandomState(0)
        masks = [with_borders(scene(rng, "val")[1]) for _ in range(80)]
    found = {stride: bound(masks, stride) for stride in STRIDES}
    print("stride  mean IU  on VOC, by the paper")
    for stride, value in found.items():
        print(f"{stride:6}  {value:7.3f}  {PAPER.get(stride, '')}")
    figure, axis = plt.subplots(figsize=(5, 3.2))
    axis.plot(list(found), list(found.values()), "o-", label="these masks")
    axis.plot(list(PAPER), list(PAPER.values()), "s--", label="VOC, by the paper")
    axis.set_xscale("log", base=2)
    axis.invert_xaxis()
    axis.set_xlabel("stride")
    axis.set_ylabel("mean IU, at most")
    axis.legend()
    figure.tight_layout()
    figure.savefig(args.out, dpi=110)
    print(f"wrote {args.out}")


if __name__ == "__main__":
    main()
