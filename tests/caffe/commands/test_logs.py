"""parse_log and plot_training_log."""

import csv

import numpy as np

from caffe.__main__ import main
from caffe.commands.parse_log import read_log
from caffe.commands.plot_training_log import CHARTS


def test_parse_log(training, capfd):
    assert main(["parse_log", "train.txt", ".", "--verbose"]) == 0
    assert capfd.readouterr().out == "Wrote ./train.txt.train\nWrote ./train.txt.test\n"
    with open("train.txt.train") as file:
        assert file.readline() == "NumIters,Seconds,LearningRate,loss\n"
        train = list(csv.reader(file))
    assert [row[0] for row in train] == ["0.0", "5.0", "10.0", "15.0"]
    assert [float(row[2]) for row in train] == [
        0.1,
        0.1,
        0.1,
        0.05,
    ]  # the rate comes after the loss
    assert [float(row[3]) for row in train] == [1.09861, 0.968623, 1.0559, 1.22274]
    assert all(0 <= float(row[1]) < 0.01 for row in train)
    with open("train.txt.test") as file:
        test = list(csv.DictReader(file))
    assert [float(row["accuracy"]) for row in test] == [0, 0.75, 0.875]
    assert [float(row["loss"]) for row in test] == [1.09861, 0.658814, 0.403577]


def test_parse_log_of_old_caffe_over_new_year(folder):
    (folder / "old.log").write_text(
        "I1231 23:59:58.000000  1 solver.cpp:1] Solving x\n"
        "I1231 23:59:59.500000  1 solver.cpp:2] Iteration 0, Testing net (#0)\n"
        "I0101 00:00:01.000000  1 solver.cpp:3]     Test net output #0: loss = nan (* 1 = nan loss)\n"
        "other output\n"
        "I0101 00:00:02.000000  1 solver.cpp:3]     Test net output #1: loss-2 = -1e-05\n"
    )
    train, test = read_log("old.log")
    assert train == []
    assert test[0]["Seconds"] == 3
    assert np.isnan(test[0]["loss"])
    assert test[0]["loss-2"] == -1e-5


def test_plot_training_log(training):
    for chart in range(8):
        name = f"{chart}.svg"
        assert main(["plot_training_log", str(chart), name, "train.txt", "train_resumed.txt"]) == 0
        assert CHARTS[chart][0].split(" vs")[0].split()[-1] in CHARTS[chart][0]
        with open(name) as file:
            text = file.read()
        assert "<!-- train.txt" in text
        assert "<!-- train_resumed.txt" in text
        assert f"<!-- {CHARTS[chart][0]} -->" in text
