"""`fcn data check NAME [DIR]`: read every pair of a data set and report what is wrong.

Reported: files that are missing, pictures and labels whose sizes differ, label values out of range,
unreadable files, channel means against the expected ones, the share of every class. Exit status 1
where something is wrong.
"""

import argparse
from collections import Counter

import numpy as np
from tqdm import tqdm

from . import DATASETS
from .reading import readers

FAR = 15  # a mean further off than this (of 255) is reported: another set, or channels swapped
FAR_LOG_DEPTH = 1.0


class Report:
    """What reading one split gave."""

    def __init__(self, split):
        self.split = split
        self.pairs = 0
        self.problems = []
        self.shares = {}  # top -> pixels a class, void last
        self.sums = {}  # top -> (sum of the channels' means over pictures, pictures)

    def count(self, top, label):
        hist = np.bincount(label.ravel(), minlength=256)
        self.shares[top] = self.shares.get(top, 0) + hist

    def add_mean(self, top, data):
        total, count = self.sums.get(top, (0, 0))
        self.sums[top] = (total + data.mean(axis=(1, 2), dtype=np.float64), count + 1)

    def means(self, top):
        """Mean of each channel less the expected one."""
        total, count = self.sums[top]
        return total / count


def check(layer, split):
    """Read every pair of a split with its data layer (SegDataLayer.reader); returns a Report."""
    report = Report(split)
    try:
        ids = layer.read_split()
    except (FileNotFoundError, ValueError) as error:
        report.problems.append(str(error))
        return report
    repeated = [id for id, times in Counter(ids).items() if times > 1]
    if repeated:
        report.problems.append(f"ids that are there twice: {', '.join(repeated)}")
    for id in tqdm(ids, desc=split, unit=""):
        absent = layer.absent([id])
        if absent:
            report.problems += [f"missing: {path}" for path in absent]
            continue
        try:
            arrays = dict(zip(layer.tops, layer.load_all(id)))
        except (OSError, ValueError, KeyError) as error:
            report.problems.append(str(error))
            continue
        report.pairs += 1
        for top, array in arrays.items():
            (report.count if array.dtype == np.uint8 else report.add_mean)(top, array)
    for top in report.sums:
        off = np.abs(report.means(top)).max()
        if off > (FAR_LOG_DEPTH if top == "depth" else FAR):
            found = ", ".join(f"{mean:+.2f}" for mean in report.means(top))
            report.problems.append(
                f"{top}: channel means differ from the expected by {found}: "
                "another unit, another set, or channels in another order"
            )
    return report


def others(layer):
    """The split lists that lie where one is missing: such as name at least one picture."""
    first = next(iter(layer.tops))
    found = []
    for path in sorted(layer.path("split").parent.glob("*.txt")):
        ids = path.read_text(errors="replace").split("\n")
        if any(id.strip() and layer.path(first, id.strip()).is_file() for id in ids):
            found.append(path.stem)
    return found


def show(report, layer, names):
    print(f"\n{type(layer).__name__} {report.split}: {report.pairs} pairs read")
    for top in sorted(getattr(layer, "loaders", {}).keys() - layer.tops.keys()):
        folder = layer.path(top, 0).parent.absolute()
        print(f"  {top}: no folder {folder}, so nets that read it cannot run ({layer.readme()})")
    for top in report.sums:
        expected = np.atleast_1d(expected_mean(layer, top))
        for channel, (mean, off) in enumerate(zip(expected, report.means(top))):
            print(f"  {top}[{channel}] mean {mean + off:8.3f}, expected {mean:8.3f}")
    for top, hist in report.shares.items():
        titles = dict(enumerate(names.get(top, ()))) | {255: "void"}
        total = hist.sum()
        print(f"  {top}: share of the pixels")
        for value, title in titles.items():
            print(f"    {value:3} {title:16} {hist[value] / total:8.4%}")
    for problem in report.problems:
        print(f"  PROBLEM {problem}")


def expected_mean(layer, top):
    """The mean that a data layer takes off a top."""
    names = {"color": "mean_bgr", "hha": "mean_hha", "depth": "mean_logd"}
    return getattr(layer, names.get(top, "mean"))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `fcn data check`."""
    parser.add_argument("name", choices=DATASETS, help="the data set")
    parser.add_argument("dir", nargs="?", help="where it is, if not in data/")


def run(args: argparse.Namespace) -> int:
    """Check a data set; the exit status is 1 where something is wrong."""
    count, dataset = 0, DATASETS[args.name]
    for _, split, layer in readers(args.name, args.dir):
        splits = [split] if layer.path("split").is_file() else [split, *others(layer)]
        for layer.split in splits:
            report = check(layer, layer.split)
            show(report, layer, {top: dataset.classes_of(top) for top in ("label", "sem", "geo")})
            count += len(report.problems)
    print(f"\n{count} problems" if count else "\nno problems")
    return 1 if count else 0
