"""The upper bound of mean IU at each stride."""

import numpy as np
import pytest
from PIL import Image

from fcn.cli import main
from fcn.datasets.sample import draw
from fcn.datasets.upper_bound import upper_bound


def test_upper_bound_by_hand():
    """Stride 2 on one row: boxes 0 0 | 0 1 | 1 1 hold 0, 1/2, 1 of class 1."""
    label = np.array([[0, 0, 0, 1, 1, 1]])
    # share of class 1 at the pixels: 0, .125, .375, .625, .875, 1 -> the truth itself
    assert upper_bound([label], 2, 2) == 1
    # one pixel of class 1 in a box of two: .5 at both, interpolated .125 .375 .375 .125: all lost
    label = np.array([[0, 0, 0, 1, 0, 0]])
    assert upper_bound([label], 2, 2) == pytest.approx((5 / 6 + 0) / 2)


def test_upper_bound_against_plain_loops():
    rng = np.random.RandomState(0)
    labels = [np.kron(rng.randint(0, 4, (4, 5)), np.ones((6, 7), int))[:23, :31] for _ in range(3)]
    labels[1][:4] = 255
    hist = np.zeros((5, 5))
    for label in labels:
        shares = np.zeros((4, *label.shape))
        for c in range(4):
            low = np.zeros((6, 8))
            for i in range(6):
                for j in range(8):
                    low[i, j] = (label[4 * i : 4 * i + 4, 4 * j : 4 * j + 4] == c).mean()
            tall = np.array(
                [np.interp((np.arange(23) + 0.5) / 4 - 0.5, range(6), col) for col in low.T]
            ).T
            shares[c] = [np.interp((np.arange(31) + 0.5) / 4 - 0.5, range(8), row) for row in tall]
        for truth, guess in zip(label.ravel(), shares.argmax(0).ravel()):
            if truth != 255:
                hist[truth, guess] += 1
    iu = [hist[c, c] / (hist[c].sum() + hist[:, c].sum() - hist[c, c]) for c in range(4)]
    assert upper_bound(labels, 5, 4) == pytest.approx(np.mean(iu))  # class 4 never occurs: left out


def test_upper_bound_falls_with_stride(tmp_path):
    out = draw.write(tmp_path, seed=3, splits={"seg11valid": ("voc", "val", 3)})
    labels = [np.array(Image.open(p)) for p in sorted((out / "voc/SegmentationClass").iterdir())]
    bounds = [upper_bound(labels, 11, stride) for stride in (1, 4, 8, 16, 32)]
    assert bounds[0] == 1 and bounds == sorted(bounds, reverse=True)
    assert bounds[1] > 0.97 and bounds[-1] < 0.6


def test_upper_bound_refuses():
    with pytest.raises(ValueError, match="7"):
        upper_bound([np.array([[0, 7]])], 2, 8)
    with pytest.raises(ValueError, match="no labels"):
        upper_bound([np.full((3, 3), 255)], 2, 8)


def test_upper_bound_of_a_set(whole_voc, capsys):
    assert main(["data", "upper-bound", "voc", str(whole_voc), "--strides", "1", "8"]) == 0
    table = capsys.readouterr().out
    assert "3 pictures" in table and "1    100.0" in table
