"""Whether labels lie on their pictures: edges of labels against edges of pictures, at many shifts."""

import time
from collections.abc import Iterator

import numpy as np

from fcn.datasets.dataset import VOID
from fcn.datasets.survey import label_tops
from fcn.doctor.case import Case, Source
from fcn.findings import WARN, Finding

COUNT, AT_LEAST = 40, 6  # pictures that are compared; fewer tell nothing
REACH, STEP = 24, 2  # shifts, in pixels
CLEAR = 4  # pixels: a smaller shift is how people draw
BETTER, SURE = 1.3, 4.0  # times the edges at no shift; standard errors


def check(case: Case) -> Iterator[Finding]:
    """A finding for each data layer whose labels fit clearly better when they are shifted."""
    for source in case.sources:
        scores = shift_scores(source, case.seconds / 6)
        found = best_shift(scores) if len(scores) >= AT_LEAST else None
        if found is None:
            continue
        (down, right), gain, pictures = found
        what = f"labels of {source.title} fit the pictures better {describe(down, right)}"
        evidence = (
            f"edges of pictures under edges of labels: {gain:.2f} times as strong there, "
            f"in {pictures} of {len(scores)} pictures"
        )
        way = "draw one label over its picture: were masks cropped, padded or resized apart from them?"
        yield Finding("labels.shifted", WARN, what, evidence, way)


def describe(down: int, right: int) -> str:
    """A shift for people."""
    parts = [f"{abs(down)} pixels {'down' if down > 0 else 'up'}"] if down else []
    parts += [f"{abs(right)} pixels to the {'right' if right > 0 else 'left'}"] if right else []
    return " and ".join(parts)


def shifts() -> np.ndarray:
    """All shifts that are tried, N x 2: down, right."""
    steps = np.arange(-REACH, REACH + 1, STEP)
    return np.stack(np.meshgrid(steps, steps, indexing="ij"), -1).reshape(-1, 2)


def shift_scores(source: Source, seconds: float) -> np.ndarray:
    """Pictures x shifts: how strong the picture's edges are under the label's, 1 on average."""
    reader, rows = source.reader, []
    if reader is None or not source.ids:
        return np.zeros((0, 0))
    picture = next((top for top, method in reader.tops.items() if method == "load_image"), None)
    label = next(iter(label_tops(reader)), None)
    if picture is None or label is None:
        return np.zeros((0, 0))
    end, step = time.monotonic() + seconds, max(1, len(source.ids) // COUNT)
    for id in source.ids[::step][:COUNT]:
        if time.monotonic() > end:
            break
        try:
            row = scores_of(reader.load(picture, id), reader.load(label, id)[0])
        except (OSError, ValueError, KeyError):
            continue
        if row is not None:
            rows.append(row)
    return np.array(rows)


def scores_of(data: np.ndarray, label: np.ndarray) -> np.ndarray | None:
    """One picture's row of `shift_scores`; None if its label has hardly an edge."""
    if data.shape[-2:] != label.shape or min(label.shape) < 4 * REACH:
        return None
    grey = data.mean(axis=0)
    edges = np.zeros_like(grey)
    edges[:, 1:] += np.abs(np.diff(grey, axis=1))
    edges[1:] += np.abs(np.diff(grey, axis=0))
    values = label.astype(np.int16)
    border = np.zeros(label.shape, bool)
    for axis in (0, 1):
        here = np.diff(values, axis=axis) != 0
        border[(slice(1, None), slice(None)) if axis == 0 else (slice(None), slice(1, None))] |= (
            here
        )
    if (label == VOID).any():  # a band of void lies on the outline: its middle is the edge
        border = border | (label == VOID)
    border[:REACH], border[-REACH:], border[:, :REACH], border[:, -REACH:] = 0, 0, 0, 0
    rows, columns = np.nonzero(border)
    if len(rows) < 50 or len(rows) > 0.3 * label.size:
        return None
    if len(rows) > 1500:
        chosen = np.random.RandomState(0).choice(len(rows), 1500, replace=False)
        rows, columns = rows[chosen], columns[chosen]
    flat, width = edges.ravel(), label.shape[1]
    base = rows * width + columns
    row = np.array([flat[base + down * width + right].mean() for down, right in shifts()])
    return row / max(row.mean(), 1e-9)


def best_shift(scores: np.ndarray) -> tuple[tuple[int, int], float, int] | None:
    """((down, right), how much better, in how many pictures) of a clear shift; None if none is."""
    moves = shifts()
    mean = scores.mean(axis=0)
    best = int(mean.argmax())
    far = np.abs(moves).max(axis=1)
    at_home = scores[:, far < CLEAR].max(axis=1)
    if far[best] < CLEAR or far[best] >= REACH:
        return None
    gains = scores[:, best] - at_home
    error = gains.std(ddof=1) / np.sqrt(len(gains))
    home = float(mean[far < CLEAR].max())
    clear = mean[best] > BETTER * home and gains.mean() > SURE * max(float(error), 1e-9)
    if not clear:
        return None
    down, right = moves[best].tolist()
    return (down, right), float(mean[best]) / home, int((gains > 0).sum())
