"""Scores reach train.log in Caffe's own form: its tools make tables and charts of them."""

import numpy as np
import pytest

import caffe
from caffe.__main__ import main
from caffe.commands.parse_log import read_log
from fcn.measures import scores
from fcn.report.caffe_log import log_scores

HIST = np.array([[90, 10], [5, 45]])


@pytest.fixture
def log(tmp_path):
    """The log of a run that was scored twice, of two layers each."""
    path = tmp_path / "train.log"
    with caffe.log_to_file(path):
        caffe.log("Solving 1")
        for iteration in (400, 800):
            for layer, loss in (("score", 2e5), ("score_geo", float("nan"))):
                log_scores(iteration, layer, loss, scores(HIST))
    return path


def test_a_row_a_scoring(log):
    train, test = read_log(str(log))
    assert train == [] and [row["NumIters"] for row in test] == [400, 800]
    assert test[0]["loss"] == 2e5 and np.isnan(test[0]["loss_geo"])
    result = scores(HIST)
    for measure in ("pixel_accuracy", "mean_accuracy", "mean_iu", "fw_iu"):
        assert test[1][measure] == pytest.approx(result[measure], rel=1e-5)
        assert test[1][f"{measure}_geo"] == test[1][measure]


@pytest.mark.parametrize("chart", range(4))
def test_the_charts_of_tests_show_them(log, chart):
    picture = log.with_name("chart.svg")
    assert main(["plot_training_log", str(chart), str(picture), str(log)]) == 0
    wanted = "pixel_accuracy" if chart < 2 else "train.log"
    assert wanted in picture.read_text()


def test_nothing_of_it_is_shown_on_the_screen(log, capfd):
    with caffe.log_to_file(log):
        log_scores(1200, "score", 1.0, scores(HIST))
    assert capfd.readouterr() == ("", "")
