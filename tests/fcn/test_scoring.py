"""Scoring a net over a data set: histograms, saved predictions, lines and records."""

import json

import numpy as np
import pytest
from PIL import Image

import caffe
from caffe.blob import Blob
from fcn import confusion, measures, scoring
from fcn.predictions import predicted

# truth down, prediction across: class 2 is never there, class 3 neither there nor given
HIST = np.array([[6, 2, 0, 0], [1, 3, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]])
NET = """
layer { name: "data" type: "Input" top: "data" top: "label" input_param {
  shape { dim: 1 dim: 3 dim: 2 dim: 3 } shape { dim: 1 dim: 1 dim: 2 dim: 3 } } }
layer { name: "score" type: "Power" bottom: "data" top: "score" }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "score" bottom: "label" top: "loss"
  loss_param { ignore_label: 255 } }
"""


@pytest.fixture
def net(net_of):
    net = net_of(NET)
    given = np.array([[0, 1, 2], [2, 1, 0]])
    net.blobs["data"].data[0] = 5 * (given == np.arange(3)[:, None, None]) - 2
    net.blobs["label"].data[0, 0] = [[0, 1, 1], [255, 1, 2]]
    return net


@pytest.mark.parametrize("kind", [scoring.ConfusionMatrix, confusion.ArrayConfusionMatrix])
def test_tallies_agree_on_ties_void_and_any_label(kind, net, device):
    assert scoring.ConfusionMatrix is caffe.ConfusionMatrix
    net.blobs["data"].data[0] = np.random.default_rng(0).integers(0, 2, (3, 2, 3))
    net.blobs["label"].data[0, 0] = [[0, 1, 2], [255, 2, 0]]
    tally = kind(net, "score", "label", "loss")
    assert tally.result()[0].tolist() == [[0] * 3] * 3
    total = np.zeros((3, 3))
    for _ in range(2):
        net.forward()
        tally.add()
        prediction = net.blobs["score"].data[0].argmax(0)
        total += measures.fast_hist(net.blobs["label"].data[0, 0], prediction, 3)
        assert (tally.prediction() == prediction).all()
        assert (predicted(net.blobs["score"]) == prediction).all()
    hist, loss = tally.result()
    assert hist.tolist() == total.tolist() and hist.dtype == np.int64
    assert loss == pytest.approx(2 * float(net.blobs["loss"].data), rel=1e-6)
    net.blobs["label"].data[...] = -1  # what is no class is told by the layer, if by any
    with pytest.raises(ValueError, match="label -1"):
        net.forward()["loss"]


@pytest.mark.parametrize("classes", [1, 3, 300])
def test_predictions_by_blocks_are_the_first_of_the_largest(classes, monkeypatch, device):
    monkeypatch.setattr("caffe.confusion._BLOCK", 7)  # 30 cells: four blocks and a part
    blob = Blob([2, classes, 5, 6])
    blob.data[...] = np.random.default_rng(classes).integers(0, 9, blob.data.shape)
    wanted = blob.data[0].argmax(0)
    assert (caffe.predicted(blob) == wanted).all() and caffe.predicted(blob).shape == (5, 6)


def test_of_scores_that_are_nan_the_first_is_predicted(device):
    """As NumPy's argmax has it, which published scripts call: one answer on every device."""
    blob = Blob([1, 4, 5, 6])
    blob.data[...] = np.random.default_rng(2).choice([0, 1, np.nan, np.inf], blob.data.shape)
    assert (caffe.predicted(blob) == blob.data[0].argmax(0)).all()


def test_a_tally_waits_for_nothing(net, device, monkeypatch):
    """Predictions that nobody saves stay where they are."""
    monkeypatch.setattr("caffe.confusion._fetch", None)
    hist, _ = scoring.compute_hist(net, None, ["a", "b"])
    assert hist.sum() == 10


@pytest.mark.parametrize("kind", [scoring.ConfusionMatrix, confusion.ArrayConfusionMatrix])
def test_compute_hist_and_saved_predictions(net, tmp_path, kind, monkeypatch):
    monkeypatch.setattr(scoring, "ConfusionMatrix", kind)
    folder = tmp_path / "made" / "here"
    for _ in range(2):  # a folder that is there already is no error
        hist, loss = scoring.compute_hist(net, folder, ["a", "b"])
    assert hist.tolist() == [[2, 0, 0], [0, 4, 2], [2, 0, 0]]
    right, wrong = np.log(1 + 2 * np.exp(-5)), np.log(2 + np.exp(5))
    assert loss == pytest.approx((3 * right + 2 * wrong) / 5, rel=1e-5)
    with Image.open(folder / "b.png") as image:
        assert image.mode == "P" and np.asarray(image).tolist() == [[0, 1, 2], [2, 1, 0]]
        assert image.getpalette()[:9] == [0, 0, 0, 128, 0, 0, 0, 128, 0]


def test_lines_and_records(net, tmp_path, capsys):
    record = tmp_path / "snapshot" / "scores.jsonl"
    hist = scoring.do_seg_tests(net, 4000, str(tmp_path / "seg{}"), ["a"], record=record)
    assert (tmp_path / "seg4000" / "a.png").exists()
    lines = capsys.readouterr().out.splitlines()
    names = ["loss", "overall accuracy", "mean accuracy", "mean IU", "fwavacc"]
    assert len(lines) == 5
    for line, name in zip(lines, names):
        mark, day, time, text = line.split(" ", 3)
        assert (mark, len(day), len(time.split(":"))) == (">>>", 10, 3)
        label, number = text.rsplit(" ", 1)
        assert label == f"Iteration 4000 {name}" and 0 < float(number) < 6
    scoring.do_seg_tests(net, 8000, False, ["a", "b"], record=record)
    first, second = scoring.read_records(record)
    assert (first["iteration"], first["images"], second["iteration"]) == (4000, 1, 8000)
    assert first["iu"] == pytest.approx(measures.scores(hist)["iu"])
    assert first["mean_iu"] == pytest.approx(float(lines[3].rsplit(" ", 1)[1]))


def test_a_score_that_does_not_exist_is_null(tmp_path):
    scoring.write_record(tmp_path / "r.jsonl", {"iu": [0.5, float("nan")], "loss": float("inf")})
    assert json.loads((tmp_path / "r.jsonl").read_text()) == {"iu": [0.5, None], "loss": None}


def test_geometric_scores_go_with_their_own_loss(net_of):
    text = NET + NET[NET.index('layer { name: "score"') :].replace("score", "score_geo").replace(
        '"loss"', '"loss_geo"'
    )
    net = net_of(
        text.replace('"score_geo" type: "Power"', '"g" type: "Power" power_param { scale: 0 }')
    )
    net.blobs["data"].data[0] = np.random.RandomState(0).randn(3, 2, 3)
    _, loss = scoring.compute_hist(net, None, ["a"])
    _, geometric = scoring.compute_hist(net, None, ["a"], layer="score_geo")
    assert geometric == pytest.approx(np.log(3), rel=1e-6) and loss != pytest.approx(geometric)


def test_both_means_are_labelled(capsys):
    scoring.print_classes(HIST, ("background", "cow", "moon", "sea"))
    lines = capsys.readouterr().out.splitlines()[-3:]
    assert lines == [
        "mean IU 0.3651 as published, absent classes counted once predicted",
        "mean IU 0.5476 of the 2 classes in the truth (absent: moon, sea)",
        "mean IU 0.4286 of these without background (1)",
    ]
    scoring.print_classes(HIST, ("awning", "cow", "moon", "sea"))  # no background, no such mean
    assert capsys.readouterr().out.splitlines()[-2:] == lines[:2]


def test_an_input_without_its_mean_taken_off_is_told(net, capsys):
    scoring.compute_hist(net, None, ["a"])
    assert "mean" not in capsys.readouterr().out
    net.blobs["data"].data[...] += 2
    scoring.compute_hist(net, None, ["a", "b"])
    assert capsys.readouterr().out.count("no value of the input is negative") == 1


def test_absent_classes_are_told_while_training(net, capsys):
    net.blobs["label"].data[net.blobs["label"].data == 2] = 255
    scoring.do_seg_tests(net, 7, False, ["a"])
    out = capsys.readouterr().out
    assert "mean IU 0." in out and "absent from the truth (2) are left out" in out
