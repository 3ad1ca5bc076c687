"""The example of one's own data: scenes with RGB masks, from the folder to scores and a report."""

import json
import sys

import numpy as np
from PIL import Image
from places import ROOT

from fcn.cli import main

sys.path.insert(0, str(ROOT / "examples"))
import own_data


def test_from_a_folder_to_a_report(tmp_path, monkeypatch, capsys):
    """The three commands of the example, with few scenes and steps."""
    own_data.write(tmp_path / "scenes", count=12)
    with Image.open(tmp_path / "scenes/masks/0000.png") as mask:
        assert mask.mode == "RGB" and mask.size == (240, 180)
    monkeypatch.chdir(tmp_path)
    folders = ["--images", "scenes/pictures", "--masks", "scenes/masks"]
    classes = ["--classes", "scenes/colours.txt"]
    assert main(["new", "mine", *folders, *classes, "--small"]) == 0
    out = capsys.readouterr().out
    assert "11 classes" in out and "255 void" in out
    with Image.open("mine/masks/0000.png") as mask:
        values = np.unique(np.asarray(mask))
    assert values[0] == 0 and values[-1] == 255 and values[-2] <= 10
    assert main(["train", "mine", "--rounds", "1", "--steps", "3", "--cpu"]) == 0
    monkeypatch.chdir(tmp_path)
    (line,) = (tmp_path / "mine/snapshot/scores.jsonl").read_text().splitlines()
    assert 0 < json.loads(line)["mean_iu"] < 1
    assert main(["report", "mine"]) == 0
    assert "<html" in (tmp_path / "mine/snapshot/report.html").read_text()
