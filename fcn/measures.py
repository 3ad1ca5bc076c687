"""The paper's measures of a segmentation (section 5), from a confusion matrix.

n[i, j] is the number of pixels of class i that are given class j. The measures are pixel accuracy,
mean accuracy, mean IU and frequency weighted IU. A class that is neither in the truth nor in the
predictions has no score and is left out of the means.
"""

from typing import Any

import numpy as np

MEASURES = ("pixel_accuracy", "mean_accuracy", "mean_iu", "fw_iu")


def fast_hist(a: Any, b: Any, n: int) -> np.ndarray:
    """N x n counts of the pairs (a, b), truth and prediction. Where `a` is no class, none counts."""
    a, b = np.asarray(a), np.asarray(b)
    valid = (a >= 0) & (a < n)
    pairs = n * a[valid].astype(int) + b[valid].astype(int)
    return np.bincount(pairs, minlength=n * n).reshape(n, n)


def scores(hist: Any) -> dict[str, Any]:
    """The measures of a confusion matrix, as floats and as lists over the classes.

    `mean_iu` counts a class that is absent from the truth as 0 as soon as one pixel is given to
    it, as published. `mean_iu_present` is over the classes in the truth only, and
    `mean_iu_foreground` over those without class 0 (PASCAL-Context's 59 of 60). `absent` lists the
    classes that are not in the truth.
    """
    hist = np.asarray(hist, dtype=np.float64)
    right, truth, given = np.diag(hist), hist.sum(1), hist.sum(0)
    with np.errstate(divide="ignore", invalid="ignore"):
        accuracy = right / truth
        iu = right / (truth + given - right)
        frequency = truth / truth.sum()
        overall = right.sum() / truth.sum()
    present = truth > 0
    return {
        "pixel_accuracy": float(overall),
        "mean_accuracy": _mean(accuracy),
        "mean_iu": _mean(iu),
        "fw_iu": float((frequency[present] * iu[present]).sum()),
        "mean_iu_present": _mean(iu[present]),
        "mean_iu_foreground": _mean(iu[1:][present[1:]]),
        "absent": np.flatnonzero(~present).tolist(),
        "accuracy": accuracy.tolist(),
        "iu": iu.tolist(),
        "frequency": frequency.tolist(),
    }


def _mean(values: np.ndarray) -> float:
    """The mean over the classes that have a value; nan if none has."""
    values = values[~np.isnan(values)]
    return float(values.mean()) if values.size else float("nan")


def collapsed(hist: Any) -> str | None:
    """A sentence about a net that gives every pixel the same class; None for any other net.

    It says what the numbers show. Why it is so, `fcn.watching.causes` finds in the net.
    """
    hist = np.asarray(hist)
    given, truth = hist.sum(0), hist.sum(1)
    if np.count_nonzero(truth) == 1 and len(hist) > 1:
        return (
            f"the truth holds class {int(truth.argmax())} only, so that no measure says anything: "
            "are the masks 0 and 255, which are background and void?"
        )
    if np.count_nonzero(given) != 1:
        return None
    return f"every pixel is given class {int(given.argmax())}"
