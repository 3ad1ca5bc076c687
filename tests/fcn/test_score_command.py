"""`fcn score`, the command that scores finished weights."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import tiny_model
from colours import indices
from PIL import Image

from fcn import measures, scoring
from fcn.cli import script


def run(*arguments):
    return script("score", "score.py", ["--cpu", *map(str, arguments)])


def test_score_command(model, tmp_path, monkeypatch, capsys):
    tiny_model.write_data(tmp_path / "data")
    weights = tmp_path / "train_iter_500.caffemodel"
    # background is what is dark: minus the strongest of red and green
    tiny_model.write_weights(model, weights, score=[[0, -1, -1], [0, -1, 1], [0, 1, -1]])
    arguments = ["--model", model, "--weights", weights, "--save", "seg", "--record", "r.jsonl"]
    assert run(*arguments) == 0
    out = capsys.readouterr().out
    assert "Iteration 500 mean IU" in out and "aeroplane" in out
    (record,) = scoring.read_records(tmp_path / "r.jsonl")
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
    assert run("--model", model) == 2
    said = capsys.readouterr()
    assert "1 of the 3 pictures to score are trained on (d" in said.err and ">>>" not in said.out
    monkeypatch.chdir(tmp_path)
    assert run("--model", model, "--leakage") == 0
    assert "3 pictures of seg11valid" in capsys.readouterr().out
    (tmp_path / "data/sbd/train.txt").unlink()
    monkeypatch.chdir(tmp_path)
    assert run("--model", model) == 0
    assert "not checked whether these pictures were trained on: SBDD" in capsys.readouterr().out


def test_score_command_tells_wrong_labels(model, tmp_path, monkeypatch, capsys):
    tiny_model.write_data(tmp_path / "data")
    path = tmp_path / "data/voc/SegmentationClass/c.png"
    with Image.open(path) as label:
        label.convert("RGB").save(path)
    assert run("--model", model) == 2
    assert "c.png: label is a RGB picture, not a palette PNG" in capsys.readouterr().err


def test_predictions_for_voc_s_server_are_of_voc(capsys):
    assert run("--model", "siftflow-fcn8s", "--save", "out", "--server") == 2
    assert "VOC's evaluation server takes predictions of VOC's classes" in capsys.readouterr().err


def test_score_command_lays_predictions_out_for_voc_s_server(model, tmp_path, monkeypatch):
    tiny_model.write_data(tmp_path / "data")
    weights = tmp_path / "w.caffemodel"
    tiny_model.write_weights(model, weights)
    arguments = ["--model", model, "--weights", weights, "--save", tmp_path / "out", "--server"]
    assert run(*arguments) == 0
    laid = tmp_path / "out" / "results" / "VOC2012" / "Segmentation" / "comp6_test_cls"
    assert sorted(path.name for path in laid.iterdir()) == ["c.png", "d.png", "e.png"]


def test_score_command_without_weights_exits_2(project, capsys):
    (project / "voc-fcn8s").mkdir()
    assert run() == 2
    assert "no weights for voc-fcn8s" in capsys.readouterr().err


def test_score_command_without_scenes_tells_what_makes_them(project, capsys):
    model = project / "voc-tiny"
    tiny_model.write_model(model / "sample")
    weights = project / "w.caffemodel"
    tiny_model.write_weights(model / "sample", weights)
    (project / "data/voc").mkdir(parents=True)
    arguments = ["--sample", "--model", str(model), "--weights", str(weights)]
    assert run(*arguments) == 2
    said = capsys.readouterr().err
    assert "seg11valid" in said and "made by: fcn data sample" in said
