"""`python score.py` on a tiny model and data set."""

import hashlib
import sys
from pathlib import Path

import numpy as np
import pytest
import tiny_model
from PIL import Image
from tiny_model import indices

from fcn import measures, results, scoring
from fcn import weights as weights_of


def test_score_command(model, tmp_path, monkeypatch, capsys):
    tiny_model.write_data(tmp_path / "data")
    weights = tmp_path / "train_iter_500.caffemodel"
    # background is what is dark: minus the strongest of red and green
    tiny_model.write_weights(model, weights, score=[[0, -1, -1], [0, -1, 1], [0, 1, -1]])
    arguments = ["--model", model, "--weights", weights, "--save", "seg", "--record", "r.jsonl"]
    monkeypatch.setattr(sys, "argv", ["score.py", "--cpu", *map(str, arguments)])
    assert scoring.main() == 0
    out = capsys.readouterr().out
    assert "Iteration 500 mean IU" in out and "aeroplane" in out
    (record,) = results.read_records(tmp_path / "r.jsonl")
    assert record["images"] == 3 and record["mean_iu"] > 0.6
    assert record["model"] == Path(model).name and record["weights"] == weights.name
    assert record["sha1"] == hashlib.sha1(weights.read_bytes()).hexdigest()
    hist = np.zeros((3, 3))
    for name in "cde":
        truth = indices(tmp_path / "data/voc/SegmentationClass" / f"{name}.png")
        given = indices(tmp_path / "seg/label" / f"{name}.png")
        hist += measures.fast_hist(truth, given, 3)
    assert record["iu"] == pytest.approx(measures.scores(hist)["iu"])


def test_score_command_refuses_pictures_that_were_trained_on(model, tmp_path, monkeypatch, capsys):
    tiny_model.write_data(tmp_path / "data")
    (tmp_path / "data/sbd/train.txt").write_text("a\nd\n")
    command = ["score.py", "--cpu", "--model", str(model)]
    monkeypatch.setattr(sys, "argv", command)
    assert scoring.main() == 2
    said = capsys.readouterr()
    assert "1 of the 3 pictures to score are trained on (d" in said.err and ">>>" not in said.out
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [*command, "--leakage"])
    assert scoring.main() == 0
    assert "3 pictures of seg11valid" in capsys.readouterr().out
    (tmp_path / "data/sbd/train.txt").unlink()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", command)
    assert scoring.main() == 0
    assert "not checked whether these pictures were trained on: SBDD" in capsys.readouterr().out


def test_score_command_tells_wrong_labels(model, tmp_path, monkeypatch, capsys):
    tiny_model.write_data(tmp_path / "data")
    path = tmp_path / "data/voc/SegmentationClass/c.png"
    with Image.open(path) as label:
        label.convert("RGB").save(path)
    monkeypatch.setattr(sys, "argv", ["score.py", "--cpu", "--model", str(model)])
    assert scoring.main() == 2
    assert "c.png: label is a RGB picture, not a palette PNG" in capsys.readouterr().err


def test_predictions_for_voc_s_server_are_of_voc(monkeypatch, capsys):
    arguments = ["score.py", "--model", "siftflow-fcn8s", "--save", "out", "--server"]
    monkeypatch.setattr(sys, "argv", arguments)
    with pytest.raises(SystemExit):
        scoring.main()
    assert "VOC's evaluation server takes predictions of VOC's classes" in capsys.readouterr().err


def test_score_command_lays_predictions_out_for_voc_s_server(model, tmp_path, monkeypatch):
    tiny_model.write_data(tmp_path / "data")
    weights = tmp_path / "w.caffemodel"
    tiny_model.write_weights(model, weights)
    arguments = ["--model", model, "--weights", weights, "--save", tmp_path / "out", "--server"]
    monkeypatch.setattr(sys, "argv", ["score.py", "--cpu", *map(str, arguments)])
    assert scoring.main() == 0
    laid = tmp_path / "out" / "results" / "VOC2012" / "Segmentation" / "comp6_test_cls"
    assert sorted(path.name for path in laid.iterdir()) == ["c.png", "d.png", "e.png"]


def test_score_command_without_weights_exits_2(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(weights_of, "ROOT", tmp_path)
    (tmp_path / "voc-fcn8s").mkdir()
    monkeypatch.setattr(sys, "argv", ["score.py", "--cpu"])
    assert scoring.main() == 2
    assert "no weights for voc-fcn8s" in capsys.readouterr().err


def test_score_command_without_scenes_tells_what_makes_them(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(weights_of, "ROOT", tmp_path)
    model = tmp_path / "voc-tiny"
    tiny_model.write_model(model / "sample")
    weights = tmp_path / "w.caffemodel"
    tiny_model.write_weights(model / "sample", weights)
    monkeypatch.chdir(tmp_path)
    arguments = ["--cpu", "--sample", "--model", str(model), "--weights", str(weights)]
    monkeypatch.setattr(sys, "argv", ["score.py", *arguments])
    assert scoring.main() == 2
    said = capsys.readouterr().err
    assert "seg11valid" in said and "made by: fcn data sample" in said
