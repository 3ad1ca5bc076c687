"""The numbers that users report for nets that do not learn."""

import math

import numpy as np
import pytest

from fcn.watching import scored, signatures


@pytest.mark.parametrize(
    ("classes", "loss"),
    [(21, 3.04452), (40, 3.68888), (60, 4.09434), (33, 3.49651), (3, 1.09861)],
)
def test_uniform_scores(classes, loss):
    assert signatures.is_uniform(loss, classes)
    assert not signatures.is_uniform(loss * 0.99, classes)


def test_a_loss_that_is_summed():
    assert signatures.is_uniform(570_848, 21, 500 * 375)  # as reported
    assert not signatures.is_uniform(570_848, 21)
    assert signatures.is_uniform(570_848, 21, 500 * 375, summed=True)
    assert not signatures.is_uniform(3.04452, 21, 500 * 375, summed=True)
    assert not signatures.is_uniform(570_848, 21, 500 * 375, summed=False)
    assert not signatures.is_uniform(500_000, 21, 500 * 375)
    assert not signatures.is_uniform(math.nan, 21, 10) and not signatures.is_uniform(0, 1)


def test_saturation():
    assert signatures.is_saturated(87.3365)
    assert signatures.is_saturated(87.3365 * 200, 200)
    assert signatures.is_saturated(87.3365 * 0.25, wrong=0.25)  # wrong in a quarter of the pixels
    assert not signatures.is_saturated(30.0) and not signatures.is_saturated(0.0, wrong=0.0)


def test_all_background_as_reported():
    share = 0.733180213097
    hist = np.zeros((21, 21))
    hist[:, 0] = (1 - share) / 20
    hist[0, 0] = share
    result = {
        "pixel_accuracy": share,
        "mean_accuracy": 1 / 21,
        "mean_iu": share / 21,
        "fw_iu": share**2,
    }
    finding = scored.collapsed("score", hist, 1.2, result)
    assert finding.what == "every pixel of score is given class 0"
    assert "0.7332, mean accuracy 0.0476, mean iu 0.0349, fw iu 0.5376" in finding.evidence
    assert "for C = 21 classes in the truth" in finding.evidence
    assert scored.collapsed("score", np.eye(3), 1.2, result) is None
