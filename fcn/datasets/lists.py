"""Lists of pictures and label files, for data layers that read those: ImageSegData of DeepLab."""

from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from fcn.datasets.voc import MEAN, SBDDSegDataLayer
from fcn.vis import save_classes

LABELS = "cls-png"  # the folder of the label files, in SBD's


def write_list(sbdd_dir: Path, split: str, path: Path) -> None:
    """Write a list of a split of SBD, a line a picture: its path and that of its labels, from `sbdd_dir`.

    The labels, which SBD stores as MATLAB files, are written as palette pictures. FileNotFoundError for
    what is not there. The list is written last, so that it is there only if all labels are.
    """
    reader: Any = SBDDSegDataLayer.reader(sbdd_dir=str(sbdd_dir), split=split, mean=MEAN)
    lines = []
    for id in tqdm(reader.read_split(), desc="label files", unit="", disable=None):
        labels = sbdd_dir / LABELS / f"{id}.png"
        labels.parent.mkdir(parents=True, exist_ok=True)
        save_classes(np.asarray(reader.load("label", id))[0], labels)
        picture = Path(reader.path("data", id))
        lines.append(f"{picture.relative_to(sbdd_dir)} {labels.relative_to(sbdd_dir)}\n")
    path.write_text("".join(lines))
