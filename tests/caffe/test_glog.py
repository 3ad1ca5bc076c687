"""Log lines: the wording, tags and streams of `caffe train`, as BVLC Caffe 1.0 printed them."""

import datetime
import io
import logging
import os
import re
import shutil
import subprocess
import sys

import pytest
from places import GOLDEN, ROOT

import caffe
from caffe import glog

PREFIX = re.compile(r"^([IWEF])(?:\d{4})?\d{4} \d\d:\d\d:\d\d\.\d{6} +\d+ ([\w.]+):(\d+)\] (.*)$")
OF_THE_ENGINE = ("solver.cpp", "sgd_solver.cpp", "net.cpp", "layer_factory.hpp")
SPEED = re.compile(r"\([-+.\de]+ iter/s, [-+.\de]+s/")
LOSS_DIGITS = 1e-4


def lines(text):
    """(file, message) of the engine's lines; what follows a line without a prefix is joined to it."""
    found = []
    for line in text.splitlines():
        match = PREFIX.match(line)
        if match:
            found.append([match[2], match[3], match[4]])
        else:
            found[-1][2] += "\n" + line
    return [(f, n, SPEED.sub("(… iter/s, …s/", t)) for f, n, t in found if f in OF_THE_ENGINE]


@pytest.fixture
def log_folder(tmp_path, monkeypatch):
    for path in (GOLDEN / "log").iterdir():
        shutil.copy(path, tmp_path)
    (tmp_path / "snapshot").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GLOG_minloglevel", raising=False)
    glog.init_log()
    yield tmp_path
    monkeypatch.undo()
    glog.init_log()


def test_the_prefix_is_that_of_caffe_s_days(capfd, monkeypatch):
    """As its own extract_seconds.py takes it apart: by blanks, month and day in four digits."""
    monkeypatch.setattr(glog.threading, "get_native_id", lambda: 47)
    record = logging.LogRecord("caffe", logging.INFO, "", 0, "Iteration 7, loss = 2", (), None)
    record.where, record.created = (
        "solver.cpp:218",
        datetime.datetime(2026, 11, 7, 10, 46).timestamp(),
    )
    line = glog.prefixed(record)
    assert line == "I1107 10:46:00.000000    47 solver.cpp:218] Iteration 7, loss = 2"
    day, time, *_ = line.strip().split()
    assert (int(day[1:3]), int(day[3:])) == (11, 7)
    assert [int(part) for part in time.replace(".", ":").split(":")] == [10, 46, 0, 0]


def test_training_prints_caffe_s_lines(log_folder, capfd):
    settings = (log_folder / "solver.prototxt").read_text()
    (log_folder / "solver.prototxt").write_text(settings + 'weights: "init.caffemodel"\n')
    caffe.get_solver("solver.prototxt").solve()
    out, err = capfd.readouterr()
    assert out == ""
    want = lines((log_folder / "train_weights.txt").read_text())
    got = lines(err)
    # `caffe train` adds a stage "" and level 0 to the state it prints; from Python there is none
    drop = re.compile(r'\ntrain_state {\n  level: 0\n  stage: ""\n}|\n  level: 0\n  stage: ""')
    want = [(f, n, drop.sub("", t)) for f, n, t in want]
    assert [strip(line) for line in got] == [strip(line) for line in want]
    for (*_, a), (*_, b) in zip(got, want):
        for x, y in zip(re.findall(r"= ([-\d.e]+)", a), re.findall(r"= ([-\d.e]+)", b)):
            assert float(x) == pytest.approx(float(y), rel=LOSS_DIGITS)


def strip(line):
    """A line without its values."""
    file, number, text = line
    return file, number, re.sub(r"= [-\d.e]+", "= …", text)


@pytest.mark.parametrize(("level", "shown"), [("0", "IW"), ("1", "W"), ("2", "")])
def test_minimum_level(level, shown, monkeypatch, capfd):
    monkeypatch.setenv("GLOG_minloglevel", level)
    glog.init_log()
    glog.log("of the user's own")
    glog.warning("net.cpp:1", "a warning")
    assert "".join(line[0] for line in capfd.readouterr().err.splitlines()) == shown
    monkeypatch.undo()
    glog.init_log()


def test_numbers_are_printed_as_c_streams_print_them():
    assert [glog.number(v) for v in (1e-10, 0.1, 1 / 3, 123456789, 0)] == [
        "1e-10",
        "0.1",
        "0.333333",
        "1.23457e+08",
        "0",
    ]


# ---- notebooks


class ZMQInteractiveShell:
    """The shell of a Jupyter kernel, by its name."""


class Shell(ZMQInteractiveShell):
    """Colab's derives from it."""


class TerminalInteractiveShell:
    """IPython in a terminal."""


SCRIPT = """
import builtins
builtins.get_ipython = type("ZMQInteractiveShell", (), {{}})
import caffe
{then}
caffe.Net("net.prototxt", caffe.TEST)
caffe.glog.warning("x:1", "a warning")
"""
NET = 'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 } } }'


@pytest.mark.parametrize(
    "shell, quiet",
    [(ZMQInteractiveShell, True), (Shell, True), (TerminalInteractiveShell, False), (None, False)],
)
def test_a_kernel_is_recognised(shell, quiet, monkeypatch):
    if shell:
        monkeypatch.setattr("builtins.get_ipython", lambda: shell(), raising=False)
    assert glog.in_notebook() is quiet
    if shell is None:
        monkeypatch.setitem(sys.modules, "ipykernel", sys)
        assert glog.in_notebook()


CASES = {
    "a notebook": ("", {}, False),
    "by init_log": ("caffe.init_log(0)", {}, True),
    "by the environment": ("", {"GLOG_minloglevel": "0"}, True),
}


@pytest.mark.parametrize("then, environment, told", CASES.values(), ids=CASES)
def test_a_notebook_is_quiet_unless_asked(then, environment, told, tmp_path):
    (tmp_path / "net.prototxt").write_text(NET)
    others = {k: v for k, v in os.environ.items() if k != "GLOG_minloglevel"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(then=then)],
        cwd=tmp_path,
        env=others | {"PYTHONPATH": str(ROOT)} | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    letters = {line[0] for line in done.stderr.splitlines() if PREFIX.match(line)}
    assert letters == ({"I", "W"} if told else {"W"})


def test_a_notebook_gets_its_log_in_one_block(monkeypatch):
    """Each flush of a kernel's stream is a message, and a block of output."""
    monkeypatch.setattr("builtins.get_ipython", lambda: ZMQInteractiveShell(), raising=False)
    written, flushes = io.StringIO(), []
    monkeypatch.setattr(written, "flush", lambda: flushes.append(1), raising=False)
    monkeypatch.setattr(sys, "stderr", written)
    monkeypatch.setenv("GLOG_minloglevel", "0")
    glog.init_log(0)
    for i in range(5):
        glog.info("net.cpp:1", f"line {i}")
    assert written.getvalue().count("\n") == 5 and not flushes
    monkeypatch.undo()
    glog.init_log()
