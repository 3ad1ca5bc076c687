"""`fcn data check`: reads every picture and label of a data set and reports what is wrong.

Reported are missing and unreadable files, pictures and labels whose sizes differ, label values out of
range, channel means against the expected ones, and every class's share of the pixels.
"""

import argparse
from collections import Counter

import numpy as np
from tqdm import tqdm

from fcn.datasets import labels, masks
from fcn.datasets.data_layer import SegDataLayer
from fcn.datasets.dataset import Dataset
from fcn.datasets.registry import named, readers
from fcn.datasets.survey import label_tops, read_labels
from fcn.findings import NOTE
from fcn.wording import SHOWN, counted, first_few

# A mean that is further off is reported: another data set, another unit, or channels swapped.
MAX_MEAN_ERROR = 15  # of 255
MAX_LOG_DEPTH_ERROR = 1.0


class Report:
    """The result of reading one split."""

    def __init__(self, split: str):
        """Nothing read yet."""
        self.split = split
        self.pairs = 0
        self.problems: dict[str, list[str]] = {}  # kind -> sentences
        self.pixels: dict[str, np.ndarray] = {}  # top -> number of pixels of each label value
        self.looks: dict[str, Counter[str]] = {}  # top -> labels of each kind of two values
        self.sums: dict[str, tuple] = {}  # top -> (sum of the channels' means, number of pictures)
        self.turned: Counter[tuple[str, int]] = Counter()  # (top, EXIF orientation) -> files

    def add(self, kind: str, text: str) -> None:
        """Add a problem."""
        self.problems.setdefault(kind, []).append(text)

    @property
    def count(self) -> int:
        """The number of problems."""
        return sum(map(len, self.problems.values()))

    def add_label(self, top: str, label: np.ndarray) -> None:
        """Count the pixels of each label value."""
        hist = np.bincount(label.ravel(), minlength=256)
        self.pixels[top] = self.pixels.get(top, 0) + hist
        self.looks.setdefault(top, Counter())[masks.two_valued(label, hist)] += 1

    def add_broken(self, layer: SegDataLayer, id: str, error: Exception) -> None:
        """Add what is wrong with a pair that cannot be loaded, and what to do about it."""
        seen = read_labels(layer, label_tops(layer), id)
        said = getattr(error, "fault", None)  # the error of a label says what is wrong with it
        why = [fault for _, fault in seen.faults if fault != said]
        more = "".join(f"; {fault.text}: {masks.WAYS_OUT[fault.kind]}" for fault in why)
        text = str(error.args[0] if error.args else error)
        kinds = [fault.kind for _, fault in seen.faults]
        self.add(kinds[0] if kinds else "unreadable", f"{text}{more}")

    def add_picture(self, top: str, data: np.ndarray) -> None:
        """Add the means of a picture's channels."""
        total, count = self.sums.get(top, (0, 0))
        self.sums[top] = (total + data.mean(axis=(1, 2), dtype=np.float64), count + 1)

    def mean_errors(self, top: str) -> np.ndarray:
        """The mean of each channel minus the expected one."""
        total, count = self.sums[top]
        return total / count


def check(layer: SegDataLayer, split: str) -> Report:
    """Read every picture and label of a split with its data layer."""
    report = Report(split)
    try:
        ids = layer.read_split()
    except (FileNotFoundError, ValueError) as error:
        report.add("split", str(error))
        return report
    repeated = [id for id, times in Counter(ids).items() if times > 1]
    if repeated:
        report.add("twice", f"ids that are there twice: {first_few(repeated)}")
    for id in tqdm(ids, desc=split, unit="", leave=False, disable=None):
        absent = layer.absent_files([id])
        if absent:
            for path in absent:
                report.add("missing", f"missing: {path}")
            continue
        try:
            arrays = dict(zip(layer.tops, layer.load_all(id)))
        except (OSError, ValueError, KeyError) as error:
            report.add_broken(layer, id, error)
            continue
        report.pairs += 1
        report.turned.update(layer.orientations(id).items())
        for top, array in arrays.items():
            add = report.add_label if array.dtype == np.uint8 else report.add_picture
            add(top, array)
    for top in report.sums:
        off = np.abs(report.mean_errors(top)).max()
        if off > (MAX_LOG_DEPTH_ERROR if top == "depth" else MAX_MEAN_ERROR):
            found = ", ".join(f"{mean:+.2f}" for mean in report.mean_errors(top))
            report.add(
                "mean",
                f"{top}: channel means differ from the expected by {found}: "
                "another unit, another set, or channels in another order",
            )
    return report


def judge(report: Report, dataset: Dataset) -> None:
    """Add to the problems what the values of all labels show together: binary masks, one class."""
    for top, hist in report.pixels.items():
        extent = f"all {report.pairs} readable labels"
        names, looks = dataset.names_of(top), report.looks[top]
        for finding in labels.of_values(hist, names, looks, top, extent):
            if finding.level != NOTE:
                report.add(finding.kind, str(finding))


def other_splits(layer: SegDataLayer) -> list[str]:
    """The other splits in the folder of a missing one: lists that name at least one picture."""
    first = next(iter(layer.tops))
    found = []
    for path in sorted(layer.path("split").parent.glob("*.txt")):
        ids = path.read_text(errors="replace").split("\n")
        if any(id.strip() and layer.path(first, id.strip()).is_file() for id in ids):
            found.append(path.stem)
    return found


def show(report: Report, layer: SegDataLayer, dataset: Dataset) -> None:
    """Print a report."""
    print(f"\n{type(layer).__name__} {report.split}: {counted(report.pairs, 'pair')} read")
    for top in sorted(getattr(layer, "loaders", {}).keys() - layer.tops.keys()):
        folder = layer.path(top, 0).parent.absolute()
        print(f"  {top}: no folder {folder}, so nets that read it cannot run ({layer.readme()})")
    for top in report.sums:
        expected = np.atleast_1d(expected_mean(layer, top))
        for channel, (mean, off) in enumerate(zip(expected, report.mean_errors(top))):
            print(f"  {top}[{channel}] mean {mean + off:8.3f}, expected {mean:8.3f}")
    for top, hist in report.pixels.items():
        titles = dict(enumerate(dataset.names_of(top))) | {255: "void"}
        total = hist.sum()
        print(f"  {top}: share of the pixels")
        for value, title in titles.items():
            print(f"    {value:3} {title:16} {hist[value] / total:8.4%}")
    for (top, value), count in sorted(report.turned.items()):
        print(
            f"  {top}: {count} with EXIF orientation {value}, read upright: are their labels so, too?"
        )
    for problems in report.problems.values():
        for problem in problems[:SHOWN]:
            print(f"  PROBLEM {problem}")
        if len(problems) > SHOWN:
            print(f"  PROBLEM and {len(problems) - SHOWN:,} more of this kind")


def expected_mean(layer: SegDataLayer, top: str) -> np.ndarray | float:
    """The mean that a data layer subtracts for a top."""
    names = {"color": "mean_bgr", "hha": "mean_hha", "depth": "mean_logd"}
    return getattr(layer, names.get(top, "mean"))


def run(args: argparse.Namespace) -> int:
    """Check one data set; returns the exit code, 1 if something is wrong."""
    count, dataset = 0, named(args.name)
    for split, layer in readers(args.name, args.dir):
        splits = [split] if layer.path("split").is_file() else [split, *other_splits(layer)]
        for layer.split in splits:
            report = check(layer, layer.split)
            judge(report, dataset)
            show(report, layer, dataset)
            count += report.count
    print("\n" + (counted(count, "problem") if count else "no problems"))
    return 1 if count else 0
