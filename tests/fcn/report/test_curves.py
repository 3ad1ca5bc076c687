"""Curves are thinned without losing extremes; ticks are round."""

import numpy as np
import pytest

from fcn.report import curves


def test_a_thin_curve_keeps_extremes_and_ends():
    rng = np.random.default_rng(0)
    x, y = np.arange(100_000.0), rng.normal(size=100_000)
    y[12_345], y[77_777], y[50_000] = 99, -99, np.nan
    thin_x, thin_y = curves.thin(x, y)
    assert len(thin_x) <= curves.POINTS and (np.diff(thin_x) > 0).all()
    assert (thin_y.max(), thin_y.min()) == (99, -99)
    assert (thin_x[0], thin_x[-1]) == (0, 99_999)
    assert np.array_equal(thin_y, y[thin_x.astype(int)])


def test_a_short_curve_stays_whole():
    x, y = curves.thin(np.arange(3.0), np.array([1, np.nan, 2]))
    assert x.tolist() == [0, 2] and y.tolist() == [1, 2]


def test_smoothing_is_the_mean_of_the_last_values_that_there_are():
    y = np.array([1.0, 3, np.nan, 5])
    np.testing.assert_allclose(curves.smooth(y, 2), [1, 2, 3, 5])
    assert np.isnan(curves.smooth(np.array([np.nan]), 3)).all()


@pytest.mark.parametrize("low, high", [(0, 1), (0.1234, 0.1299), (0, 123_456), (-3, 70), (5, 5)])
def test_ticks_are_few_even_and_inside(low, high):
    found = curves.ticks(low, high)
    assert 1 <= len(found) <= 6
    assert all(low - 1e-9 <= tick <= high + 1e-9 for tick in found)
    assert np.allclose(np.diff(found), np.diff(found)[:1])


@pytest.mark.parametrize("low, high", [(1e-12, 1), (0.1, 0.9), (0.05, 60), (3, 3.5)])
def test_ticks_of_a_logarithmic_scale_are_few_and_inside(low, high):
    found = curves.log_ticks(low, high)
    assert len(found) <= 7 and all(low * 0.99 <= tick <= high * 1.01 for tick in found)


@pytest.mark.parametrize(
    "value, text",
    [
        *((0, "0"), (120_000, "120,000"), (0.25, "0.25"), (1e-10, "1e-10"), (2.5e-8, "2.5e-8")),
        *(
            (float("nan"), "–"),
            (float("inf"), "–"),
            (12345.678, "12,346"),
            (3e9, "3,000,000,000"),
        ),
    ],
)
def test_numbers_are_for_people(value, text):
    assert curves.number(value) == text


def test_changes_of_the_rate():
    iteration, rate = np.arange(6.0), np.array([1, 1, np.nan, 0.1, 0.1, 0.01])
    assert curves.rate_changes(iteration, rate) == [(3, 0.1), (5, 0.01)]


def test_a_curve_that_falls_far_wants_a_logarithmic_scale():
    assert curves.wants_log(np.array([1, 0.01]))
    assert not curves.wants_log(np.array([1, 0.5]))
    assert not curves.wants_log(np.array([100, 0.0]))
