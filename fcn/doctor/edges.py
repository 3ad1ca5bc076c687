"""How well labels lie on their pictures: edges of pictures under edges of labels.

They are compared where they are, at many shifts, and mirrored or turned.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from fcn.datasets.dataset import VOID
from fcn.datasets.survey import label_tops
from fcn.doctor.case import Source

COUNT = 40  # pictures that are compared
REACH, STEP = 24, 2  # shifts, in pixels
CLEAR = 4  # pixels: a smaller shift is how people draw
BETTER, MUCH_BETTER = 1.3, 2.0  # times the edges where labels are
SURE = 4.0  # standard errors
MANY = 12  # pictures, that tell whether labels fit at all
MOVES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "mirrored left to right": lambda label: label[:, ::-1],
    "mirrored top to bottom": lambda label: label[::-1],
    "turned by 180 degrees": lambda label: label[::-1, ::-1],
    "with rows and columns exchanged": lambda label: label.T,
    "turned by 90 degrees clockwise": lambda label: np.rot90(label, -1),
    "turned by 90 degrees anticlockwise": lambda label: np.rot90(label),
    "mirrored at the diagonal from bottom left": lambda label: label[::-1, ::-1].T,
}


def shifts() -> np.ndarray:
    """All shifts that are tried, N x 2: down, right."""
    steps = np.arange(-REACH, REACH + 1, STEP)
    return np.stack(np.meshgrid(steps, steps, indexing="ij"), -1).reshape(-1, 2)


@dataclass
class Compared:
    """A picture's edges, and where the edges of its label are."""

    id: str
    edges: np.ndarray  # H x W: how much each pixel differs from the one above and the one beside
    border: np.ndarray  # H x W: where the label's edges are
    shifted: np.ndarray = field(init=False)  # for all shifts: edges under the label's, 1 on average

    def __post_init__(self) -> None:
        """Compare at all shifts."""
        row = self.under(self.border, shifts())
        self.mean = max(float(row.mean()), 1e-9)
        self.shifted = row / self.mean

    def under(self, border: np.ndarray, moves: np.ndarray) -> np.ndarray:
        """How strong the picture's edges are under a border, at each shift."""
        inside = np.zeros_like(border)
        inside[REACH:-REACH, REACH:-REACH] = border[REACH:-REACH, REACH:-REACH]
        base = np.flatnonzero(inside)
        if len(base) > 1500:
            base = np.random.RandomState(0).choice(base, 1500, replace=False)
        flat, width = self.edges.ravel(), border.shape[1]
        return np.array([flat[base + down * width + right].mean() for down, right in moves])

    def at_home(self) -> float:
        """How well the label fits where it is."""
        return float(self.shifted[np.abs(shifts()).max(axis=1) < CLEAR].max())

    def elsewhere(self) -> float:
        """How well the label fits somewhere else: the mean of eight places around, as `at_home`."""
        far = REACH - 2 * CLEAR
        around = [(down, right) for down in (-far, 0, far) for right in (-far, 0, far)]
        found = [
            self.shifted[np.abs(shifts() - place).max(axis=1) < CLEAR].max()
            for place in around
            if any(place)
        ]
        return float(np.mean(found))

    def moved(self, move: str) -> float | None:
        """How well the label fits after one of MOVES; None if it has another shape then."""
        border = MOVES[move](self.border)
        if border.shape != self.border.shape:
            return None
        near = shifts()
        near = near[np.abs(near).max(axis=1) < CLEAR]
        return float(self.under(border, near).max()) / self.mean


def compared(source: Source, ids: Sequence[str], end: float) -> Iterator[Compared]:
    """Some pictures with their labels, as far as their labels have edges, until a time."""
    reader = source.reader
    if reader is None or not ids:
        return
    picture = next((top for top, method in reader.tops.items() if method == "load_image"), None)
    label = next(iter(label_tops(reader)), None)
    if picture is None or label is None:
        return
    for id in ids[:: max(1, len(ids) // COUNT)][:COUNT]:
        if time.monotonic() > end:
            return
        try:
            data, values = reader.load(picture, id), reader.load(label, id)[0]
        except (OSError, ValueError, KeyError):
            continue  # told with the labels
        if data.shape[-2:] != values.shape or min(values.shape) < 4 * REACH:
            continue
        border = border_of(values)
        count = np.count_nonzero(border[REACH:-REACH, REACH:-REACH])
        if 50 <= count <= 0.3 * values.size:
            yield Compared(id, edges_of(data), border)


def edges_of(data: np.ndarray) -> np.ndarray:
    """How much each pixel of a C x H x W picture differs from the ones above and beside it, H x W."""
    grey = data.mean(axis=0)
    edges = np.zeros_like(grey)
    edges[:, 1:] += np.abs(np.diff(grey, axis=1))
    edges[1:] += np.abs(np.diff(grey, axis=0))
    return edges


def border_of(label: np.ndarray) -> np.ndarray:
    """Where a label changes, H x W. A band of void lies on an outline, whose middle is the edge."""
    values = label.astype(np.int16)
    border = label == VOID
    border[:, 1:] |= np.diff(values, axis=1) != 0
    border[1:] |= np.diff(values, axis=0) != 0
    return border


def clearly(better: np.ndarray, worse: np.ndarray) -> bool:
    """Whether labels fit clearly better in one way than in another; a row each picture.

    Their ratios are judged, so that one picture does not count for all. Of too few pictures for a
    standard error, every one has to fit much better.
    """
    gains = np.log(np.maximum(better, 1e-3) / np.maximum(worse, 1e-3))
    if len(gains) < 3:
        return bool((gains > np.log(MUCH_BETTER)).all())
    error = max(float(gains.std(ddof=1)) / np.sqrt(len(gains)), 1e-9)
    return bool(gains.mean() > max(np.log(BETTER), SURE * error))


def nowhere(at_home: np.ndarray, elsewhere: np.ndarray) -> bool:
    """Whether labels fit their pictures no better than other places; a row each picture.

    Faint outlines fit a little better, but surely so.
    """
    gains = np.log(np.maximum(at_home, 1e-3) / np.maximum(elsewhere, 1e-3))
    if len(gains) < MANY:
        return False
    error = gains.std(ddof=1) / np.sqrt(len(gains))
    return bool(gains.mean() < 2 * error and gains.mean() + SURE * error < np.log(BETTER))


def best_shift(scores: np.ndarray) -> tuple[tuple[int, int], float, int] | None:
    """((down, right), how much better, in how many pictures) of a clear shift; None if none is."""
    moves = shifts()
    far = np.abs(moves).max(axis=1)
    best = int(scores.mean(axis=0).argmax())
    at_home = scores[:, far < CLEAR].max(axis=1)
    if far[best] < CLEAR or far[best] >= REACH or not clearly(scores[:, best], at_home):
        return None
    down, right = moves[best].tolist()
    gain = float(scores[:, best].mean() / at_home.mean())
    return (down, right), gain, int((scores[:, best] > at_home).sum())
