"""What a test net's outputs come to over all passes: means, or of detections the mean average precision
that SSD's solver gives (Solver::TestDetection, ComputeAP of util/bbox_util.cpp)."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
import torch

from .blob import Blob
from .glog import info, number, warning
from .proto import caffe_pb2

AP_VERSIONS = ("11point", "MaxIntegral", "Integral")
# Field of the solver's -> its words
_WORDS = {"eval_type": ("classification", "detection"), "ap_version": AP_VERSIONS}


def check(param: caffe_pb2.SolverParameter, source: str) -> None:
    """Raise ValueError if a field's word is not a known one; `source` is the solver's file."""
    for field, known in _WORDS.items():
        if (word := getattr(param, field)) not in known:
            raise ValueError(f"{source}: {field} is '{word}', it must be {' or '.join(known)}")


def scores(param: caffe_pb2.SolverParameter) -> Means | Precisions:
    """What collects the outputs, by the solver's eval_type."""
    return Precisions(param) if param.eval_type == "detection" else Means()


class Means:
    """The mean of each value of an output."""

    def __init__(self) -> None:
        self.sums: dict[str, Any] = defaultdict(float)
        self.passes = 0

    def add(self, outputs: dict[str, Blob]) -> None:
        """A pass."""
        self.passes += 1
        for name, blob in outputs.items():
            self.sums[name] = self.sums[name] + blob.x

    def results(self) -> list[torch.Tensor]:
        """A tensor an output."""
        return [total / self.passes for total in self.sums.values()]


class Precisions:
    """The mean over the classes of a DetectionEvaluate's average precision."""

    def __init__(self, param: caffe_pb2.SolverParameter) -> None:
        self.version, self.every = param.ap_version, param.show_per_class_result
        self.rows: dict[str, list[np.ndarray]] = defaultdict(list)

    def add(self, outputs: dict[str, Blob]) -> None:
        """A pass. ValueError for an output that is not DetectionEvaluate's."""
        for name, blob in outputs.items():
            if not blob.num_axes or blob.shape[-1] != 5:
                raise ValueError(
                    f"eval_type: detection takes the rows of 5 values that DetectionEvaluate makes; output "
                    f"'{name}' has shape {list(blob.shape)}: silence it, or leave eval_type out"
                )
            self.rows[name].append(blob.data.reshape(-1, 5).copy())

    def results(self) -> list[torch.Tensor]:
        """A number an output."""
        return [torch.tensor(self.mean(np.concatenate(rows))) for rows in self.rows.values()]

    def mean(self, rows: np.ndarray) -> float:
        """Of all rows of an output; classes without a detection count 0."""
        counts, found = rows[rows[:, 0] == -1], rows[rows[:, 0] != -1]
        found = found[(found[:, 3] != 0) | (found[:, 4] != 0)]  # neither: a difficult object
        total, classes = 0.0, np.unique(counts[:, 1])
        for label in classes:
            own = found[found[:, 1] == label]
            if not len(own):
                warning("solver.cpp:0", f"Missing true_pos for label: {label:g}")
                continue
            own = own[np.argsort(-own[:, 2], kind="stable")]
            objects = counts[counts[:, 1] == label, 2].sum()
            value = average_precision(own[:, 3], own[:, 4], objects, self.version)
            total += value
            if self.every:
                info("solver.cpp:0", f"class{label:g}: {number(value)}")
        return total / max(len(classes), 1)


def average_precision(right: np.ndarray, wrong: np.ndarray, objects: float, version: str) -> float:
    """Of detections in falling order of scores, which are right or wrong, and so many objects.

    11point: the mean of the best precision at recalls of 0, .1, ... 1 and more; Integral: the area below
    the precision; MaxIntegral: that below the best precision from each recall on, where a step to a recall
    counts with the one before it, as in SSD.
    """
    hits = right.cumsum()
    precision, recall = hits / (hits + wrong.cumsum()), hits / max(objects, 1)
    if version == "11point":
        reached = [precision[recall >= step / 10] for step in range(11)]
        return float(sum(part.max() for part in reached if len(part)) / 11)
    if version == "MaxIntegral":
        best = np.maximum.accumulate(precision[::-1])[::-1]
        precision = np.concatenate([best[:1], best[:-1]])
    return float((precision * np.diff(recall, prepend=0)).sum())
