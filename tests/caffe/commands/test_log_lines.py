"""What train, test and time print is BVLC Caffe's output, line by line."""

import os
import re

import numpy as np
import pytest
from log_lines import normalized
from places import GOLDEN

import caffe
from caffe.__main__ import main
from caffe.layers import hdf5 as hdf5_layers


def test_train_test_and_time_print_caffe_s_lines(training, capfd):
    def check(golden, *arguments):
        assert main(arguments) == 0
        out, err = capfd.readouterr()
        assert out == ""
        wanted, lines = normalized((GOLDEN / "log" / golden).read_text()), normalized(err)
        lines = [line for line in lines if not line.startswith("I resuming:0] ")]
        assert lines[: len(wanted)] == wanted
        ours = lines[len(wanted) :]  # behind Caffe's
        assert bool(ours) == ("time" in arguments)
        assert all(line.startswith("I roofline:0] ") for line in ours)
        hdf5_layers._logged.clear()

    check("train.txt", "train", "-solver", "solver.prototxt")
    state = "snapshot/s_iter_10.solverstate"
    os.remove("snapshot/s_iter_10.position.json")  # without it a training resumes as Caffe's does
    check("train_resumed.txt", "train", "--solver=solver.prototxt", f"--snapshot={state}")
    check("train_weights.txt", "-solver=solver.prototxt", "train", "-weights", "init.caffemodel")
    weights = "snapshot/s_iter_20.caffemodel"
    check("test.txt", "test", "-model=net.prototxt", "-weights", weights, "-iterations", "3")
    check("time.txt", "time", "-model", "net.prototxt", "-iterations=3")


def test_debug_info_is_logged_at_displayed_iterations(training, capfd):
    with open("solver.prototxt", "a") as file:
        file.write("debug_info: true\n")
    solver = caffe.get_solver("solver.prototxt")
    solver.net.copy_from("init.caffemodel")
    mean = np.abs(solver.net.params["ip2"][0].data).mean()
    capfd.readouterr()
    solver.step(2)
    lines = [line for line in capfd.readouterr().err.splitlines() if "ward]" in line]
    lines = [re.sub("^.*?net.cpp:", "", line) for line in lines]
    assert len(lines) == 18  # of iteration 0 alone: 10 forward, 7 backward, the norms
    assert [line.rpartition(": ")[0] for line in lines[5:11]] == [
        "591]     [Forward] Layer tanh1, top blob ip1 data",
        "591]     [Forward] Layer ip2, top blob ip2 data",
        "603]     [Forward] Layer ip2, param blob 0 data",
        "603]     [Forward] Layer ip2, param blob 1 data",
        "591]     [Forward] Layer loss, top blob loss data",
        "619]     [Backward] Layer loss, bottom blob ip2 diff",
    ]
    assert float(lines[7].rpartition(": ")[2]) == pytest.approx(mean, rel=1e-4)
    assert lines[-2].startswith("630]     [Backward] Layer ip1, param blob 1 diff: ")
    assert lines[-1].startswith("676]     [Backward] All net params (data, diff): L1 norm = (")


def test_log_folder(training, capfd):
    (training / "logs").mkdir()
    assert main(["time", "-model=net.prototxt", "-iterations=1", "-log_dir=logs"]) == 0
    shown = capfd.readouterr().err
    assert (training / "logs" / "caffe.INFO").read_text() == shown
    assert "Benchmark ends" in shown
