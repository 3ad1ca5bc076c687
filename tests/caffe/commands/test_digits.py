"""LeNet learns digits through the tools."""

import re

import pytest
from places import ROOT

from caffe.__main__ import main


def test_lenet_learns_digits_through_the_tools(folder, capfd, monkeypatch):
    pytest.importorskip("lmdb")
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    import digits

    digits.prepare(folder, iterations=200)
    for command in digits.COMMANDS:
        assert main(command) == 0
    accuracy = re.search(r"Test net output #\d: accuracy = ([\d.]+)", capfd.readouterr().err)
    assert float(accuracy[1]) >= 0.97
