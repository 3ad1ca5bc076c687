"""Log lines: the wording, tags and streams of `caffe train`, as BVLC Caffe 1.0 printed them."""

import re
import shutil

import pytest
from places import GOLDEN

import caffe
from caffe import glog

PREFIX = re.compile(r"^([IWEF])\d{8} \d\d:\d\d:\d\d\.\d{6} +\d+ ([\w.]+):(\d+)\] (.*)$")
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
