"""The measures against histograms worked out by hand."""

import numpy as np
import pytest

from fcn import measures

# truth down, prediction across: class 2 is never there, class 3 neither there nor given
HIST = np.array([[6, 2, 0, 0], [1, 3, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]])


def test_fast_hist_leaves_out_what_is_no_class():
    truth = np.array([0, 0, 1, 2, 255, -1, 3])
    given = np.array([0, 1, 1, 0, 2, 2, 1])
    assert measures.fast_hist(truth, given, 3).tolist() == [[1, 1, 0], [0, 1, 0], [1, 0, 0]]


def test_scores_by_hand():
    result = measures.scores(HIST)
    assert result["pixel_accuracy"] == pytest.approx(9 / 13)
    assert result["accuracy"][:2] == pytest.approx([6 / 8, 3 / 5])
    assert np.isnan(result["accuracy"][2:]).all()
    assert result["mean_accuracy"] == pytest.approx((6 / 8 + 3 / 5) / 2)
    assert result["iu"][:3] == pytest.approx([6 / 9, 3 / 7, 0])
    assert np.isnan(result["iu"][3])
    assert result["mean_iu"] == pytest.approx((6 / 9 + 3 / 7 + 0) / 3)  # as published
    assert result["mean_iu_present"] == pytest.approx((6 / 9 + 3 / 7) / 2)  # as it should be
    assert result["mean_iu_foreground"] == pytest.approx(3 / 7)
    assert result["fw_iu"] == pytest.approx(8 / 13 * 6 / 9 + 5 / 13 * 3 / 7)
    assert result["absent"] == [2, 3]


def test_all_background_has_the_known_signature():
    share = 0.733180213097  # users report these four with a net that gives background only
    hist = np.zeros((21, 21))
    hist[:, 0] = (1 - share) / 20
    hist[0, 0] = share
    result = measures.scores(hist)
    four = [result[k] for k in ("pixel_accuracy", "mean_accuracy", "mean_iu", "fw_iu")]
    known = [0.733180213097, 0.047619047619, 0.0349133434808, 0.537553224877]
    assert four == pytest.approx(known, rel=1e-9)
    assert measures.collapsed(hist) == "every pixel is given class 0"
    assert measures.collapsed(HIST) is None


def test_a_truth_of_one_class_is_said_before_all_else():
    assert "the truth holds class 0 only" in measures.collapsed([[9, 0], [0, 0]])
    assert "the truth holds class 1 only" in measures.collapsed([[0, 0], [3, 6]])
    assert measures.collapsed([[9]]) == "every pixel is given class 0"


def test_no_pixel_at_all_is_nan_not_an_error():
    result = measures.scores(np.zeros((2, 2)))
    assert np.isnan(result["pixel_accuracy"]) and np.isnan(result["mean_iu"])
