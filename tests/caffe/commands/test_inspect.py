"""`caffe inspect`: what it prints, exit codes, mistakes."""

import shutil

import pytest
from places import GOLDEN

from caffe.__main__ import main


def test_one_file(folder, capsys):
    shutil.copy(GOLDEN / "formats/saved/weights.caffemodel", "w.caffemodel")
    assert main(["inspect", "w.caffemodel"]) == 0
    found = capsys.readouterr()
    assert found.out.startswith("w.caffemodel: a caffemodel") and found.err == ""


def test_two_files(folder, capsys):
    shutil.copy(GOLDEN / "formats/saved/weights.caffemodel", "w.caffemodel")
    assert main(["inspect", "w.caffemodel", "w.caffemodel"]) == 0
    assert "the same weights" in capsys.readouterr().out


def test_sizes(folder, capsys):
    shutil.copy(GOLDEN / "log/net.prototxt", "net.prototxt")
    assert main(["inspect", "net.prototxt", "--shape", "data=5,4"]) == 0
    assert "gives: ip2 5x3" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["none"], "Could not open file none"),
        (["a", "b", "c"], "takes one file, or two to compare, got 3"),
        (["a", "--shape", "data=x"], "--shape takes a blob and its sizes"),
        (["none", "none"], "none"),
    ],
)
def test_mistakes(folder, capsys, arguments, said):
    assert main(["inspect", *arguments]) == 1
    err = capsys.readouterr().err
    assert said in err and "Traceback" not in err
