"""`fcn data sample`: draws the scenes of the embedded task and writes them as VOC and SBD trees."""

import argparse
import shutil
from pathlib import Path

import numpy as np
import scipy.io
from PIL import Image
from tqdm import tqdm

from fcn import vis
from fcn.datasets.sample import scenes

# Split -> (tree, role of its digits and photographs in scenes.ROLES, number of scenes)
SPLITS = {
    "train": ("sbd", "train", 1500),  # to train on
    "tune": ("voc", "tune", 80),  # to choose steps and rates by
    "seg11valid": ("voc", "val", 80),  # held back: what is scored
    "infer": ("voc", "infer", 4),  # neither trained on nor scored
}
FILES = {  # tree -> (picture, label, split list)
    "sbd": ("img/{}.jpg", "cls/{}.mat", "{}.txt"),
    "voc": ("JPEGImages/{}.jpg", "SegmentationClass/{}.png", "ImageSets/Segmentation/{}.txt"),
}


def write(out: Path, seed: int = 0, splits: dict | None = None) -> Path:
    """Draw every split into `out`/sbd and `out`/voc, replacing what is there; returns `out`.

    The same seed gives the same files.
    """
    out, splits = Path(out), splits or SPLITS
    for tree in FILES:
        shutil.rmtree(out / tree, ignore_errors=True)
    bar = tqdm(total=sum(count for _, _, count in splits.values()), desc="scenes", unit="")
    for number, (split, (tree, role, count)) in enumerate(splits.items()):
        rng = np.random.RandomState([seed, number])
        ids = [f"{split}_{i:04}" for i in range(count)]
        picture, label, split_list = (out / tree / path for path in FILES[tree])
        for path in (picture, label, split_list):
            path.parent.mkdir(parents=True, exist_ok=True)
        for id in ids:
            pixels, classes = scenes.scene(rng, role)
            Image.fromarray(pixels).save(str(picture).format(id), quality=95)
            save_label = save_mat if tree == "sbd" else save_palette
            save_label(str(label).format(id), classes)
            bar.update()
        Path(str(split_list).format(split)).write_text("".join(f"{id}\n" for id in ids))
    bar.close()
    (out / "seed.txt").write_text(f"{seed}\n")
    return out


def save_mat(path: str | Path, classes: np.ndarray) -> None:
    """Save classes as SBD stores them: GTcls, a struct with Segmentation. SBD has no void."""
    gt = np.zeros((1, 1), [("Segmentation", "O"), ("CategoriesPresent", "O")])
    gt[0, 0]["Segmentation"] = classes
    gt[0, 0]["CategoriesPresent"] = np.unique(classes[classes > 0])[:, None]
    scipy.io.savemat(path, {"GTcls": gt}, do_compression=True)


def save_palette(path: str | Path, classes: np.ndarray) -> None:
    """Save classes as VOC stores them: a palette PNG, 255 where two classes meet."""
    vis.save_classes(scenes.with_borders(classes), path)


def run(args: argparse.Namespace) -> int:
    """Write the scenes; returns the exit code."""
    if args.seed < 0:
        raise ValueError(f"--seed must not be negative, got {args.seed}")
    if args.most is not None and args.most < 1:
        raise ValueError(f"--most must be at least 1, got {args.most}")
    splits = {
        split: (tree, role, min(count, args.most or count))
        for split, (tree, role, count) in SPLITS.items()
    }
    print(f"scenes in {write(args.out, args.seed, splits)}")
    return 0
