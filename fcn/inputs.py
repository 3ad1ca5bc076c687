"""What a net reads of a scene: colours, depth or HHA, each from a file, as the data layers yield it."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from fcn.datasets.nyud import MEAN_HHA, log_depth
from fcn.pictures import (
    UNREADABLE_ERRORS,
    Unreadable,
    read_picture,
    read_values,
    reason,
    subtract_mean,
    why_sizes_differ,
)


def read_depth(path: Path | str) -> np.ndarray:
    """Depth in millimetres, H x W; ValueError for what `nyud.log_depth` refuses."""
    depth = read_values(path)
    log_depth(depth)
    return depth


READ = {"color": read_picture, "hha": read_picture, "depth": read_depth}
PREPARE = {  # (picture as read, the task's mean) -> C x H x W, as the data layers yield it
    "color": lambda pixels, mean: subtract_mean(pixels[:, :, ::-1], mean),  # BGR
    "hha": lambda pixels, mean: subtract_mean(pixels, MEAN_HHA),  # as stored
    "depth": lambda depth, mean: log_depth(depth),
}


def read_inputs(paths: Sequence[Path], kinds: Mapping[str, str]) -> dict[str, np.ndarray]:
    """Input blob -> picture, from one file for each of `kinds`, which maps blobs to keys of READ.

    Raises Unreadable for a file that cannot be read and if the pictures differ in size.
    """
    pictures = {}
    for path, (blob, kind) in zip(paths, kinds.items()):
        try:
            pictures[blob] = READ[kind](path)
        except UNREADABLE_ERRORS as error:
            raise Unreadable(f"{path}: cannot be read: {reason(error, path)}") from error
    sizes = {kind: pictures[blob].shape[:2] for blob, kind in kinds.items()}
    if len(set(sizes.values())) > 1:
        each = ", ".join(f"{path} {h}x{w}" for path, (h, w) in zip(paths, sizes.values()))
        why = why_sizes_differ(sizes, dict(zip(sizes, paths)))
        text = f"{paths[0]}: sizes differ (height x width): {each}"
        raise Unreadable(f"{text}. {why}" if why else text)
    return pictures
