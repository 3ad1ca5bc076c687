"""parse_log and plot_training_log."""

import csv
import re

import numpy as np
import pytest

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


STAMP = "I20260101 10:00:0{}.000000  1 "


def test_a_log_of_one_display_has_its_rate(folder):
    (folder / "one.log").write_text(
        STAMP.format(0) + "solver.cpp:1] Iteration 0, loss = 2\n"
        + STAMP.format(0) + "solver.cpp:2]     Train net output #0: loss = 2 (* 1 = 2 loss)\n"
        + STAMP.format(0) + "sgd_solver.cpp:3] Iteration 0, lr = 0.01\n"
    )  # fmt: skip
    ((row,), test) = read_log("one.log")
    assert row["LearningRate"] == 0.01 and test == []


def test_lines_without_a_year_are_read_as_those_with_one(training, folder):
    text = (folder / "train.txt").read_text()
    (folder / "old.txt").write_text(re.sub(r"^([IWEF])\d{4}(?=\d{4} )", r"\1", text, flags=re.M))
    assert (folder / "old.txt").read_text() != text
    assert read_log("old.txt") == read_log("train.txt")


def test_a_log_goes_on_over_new_year_and_may_be_of_a_leap_year(folder):
    line = " 1 solver.cpp:1] Iteration 0, loss = 2\n"
    out = " 1 solver.cpp:2]     Train net output #0: loss = 2 (* 1 = 2 loss)\n"
    for first, second in (
        ("1231 23:59:59.5", "0101 00:00:00.5"),
        ("0229 01:00:00.0", "0229 01:00:01.0"),
    ):
        (folder / "l.log").write_text(
            f"I{first}00000{line}I{first}00000{out}I{second}00000{line}I{second}00000{out}"
        )
        assert [row["Seconds"] for row in read_log("l.log")[0]] == [0, 1]


# ---- the log.csv of a run of `fcn train`

TABLE = """run,iteration,time,rate,seed,start_sha1,loss,smoothed_loss,loss_per_pixel,pictures_per_second
1,0,2026-01-01T10:00:00,0.01,7,ab,90,90,0.9,0
1,20,2026-01-01T10:00:08,0.01,7,ab,nan,85,nan,2.5
1,40,2026-01-01T10:01:00,0.001,7,ab,50,70,0.5,2.5
"""


def test_the_table_of_a_run_is_read_as_a_log(folder):
    (folder / "log.csv").write_text(TABLE + "1,60,2026-01-01T10:0")  # it is being written
    assert main(["parse_log", "log.csv", "."]) == 0
    with open("log.csv.train") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [
        *("NumIters", "Seconds", "LearningRate", "loss", "smoothed_loss", "loss_per_pixel")
    ]
    assert [float(row["NumIters"]) for row in rows] == [0, 20, 40]
    assert [float(row["Seconds"]) for row in rows] == [0, 8, 60]
    assert [float(row["LearningRate"]) for row in rows] == [0.01, 0.01, 0.001]
    assert rows[1]["loss"] == "nan" and float(rows[2]["loss_per_pixel"]) == 0.5
    assert not (folder / "log.csv.test").exists()


def test_the_table_of_a_run_is_plotted(folder, capfd):
    (folder / "log.csv").write_text(TABLE)
    for chart in range(4, 8):
        assert main(["plot_training_log", str(chart), f"{chart}.svg", "log.csv"]) == 0
    text = (folder / "6.svg").read_text()
    assert "<!-- log.csv -->" in text and "smoothed" not in text  # one curve, in one unit
    assert main(["plot_training_log", "0", "0.svg", "log.csv"]) == 1
    assert "of a run of `fcn train` the scores are in train.log" in capfd.readouterr().err


@pytest.mark.parametrize("rows", [0, 1])
def test_a_table_without_a_line_is_said(folder, capfd, rows):
    (folder / "log.csv").write_text("".join(TABLE.splitlines(True)[:1]) + "1,0,2026"[: 8 * rows])
    assert main(["parse_log", "log.csv", "."]) == 1
    assert "log.csv: the table holds no line of training yet" in capfd.readouterr().err


SCREEN = """starting from voc-fcn16s: /data/voc-fcn16s.caffemodel
iteration 0 of 1300: loss 0.4210 a pixel, smoothed 0.421, rate 0.01
iteration 50 of 1300: loss 0.3310 a pixel, smoothed 0.321, rate 0.01, 16 pictures/s, 0:01:20 left
>>> 2026-01-01 10:00:00 Iteration 650 mean IU 0.52
"""


@pytest.mark.parametrize("text", [SCREEN, "", "nothing\n", SCREEN + "\x00\xff"])
def test_what_solve_py_prints_is_no_log_and_says_where_it_is(folder, capfd, text):
    (folder / "screen.txt").write_text(text)
    assert main(["parse_log", "screen.txt", "."]) == 1
    said = capfd.readouterr().err
    assert "train.log in the run's folder, or log.csv beside it" in said
    assert said.count("\n") == 1
    assert main(["plot_training_log", "6", "x.png", "screen.txt"]) == 1
    assert "train.log in the run's folder" in capfd.readouterr().err
