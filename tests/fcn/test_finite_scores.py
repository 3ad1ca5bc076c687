"""Weights with NaN or Inf: said with the layer, exit code 1, and no picture is written."""

import numpy as np
import pytest
import tiny_model
from PIL import Image

from fcn import finite_scores, prototxts
from fcn.cli import main

BAD = [np.nan, np.inf, -np.inf]


@pytest.fixture
def broken(model, tmp_path):
    """break_(layer, value): the model's weights with that value in that layer; the file's path."""

    def break_(layer, value):
        net = prototxts.load(model / "val.prototxt", model / "voc-tiny.caffemodel")
        net.params[layer][0].data.flat[0] = value
        net.save(str(tmp_path / "bad.caffemodel"))
        return tmp_path / "bad.caffemodel"

    return break_


@pytest.mark.parametrize("value", BAD)
@pytest.mark.parametrize("layer", ["body", "score_fr", "upscore"])
def test_infer(layer, value, broken, model, scene, tmp_path, capsys):
    for name in ("a.png", "b.png"):
        Image.fromarray(scene).save(tmp_path / name)
    file = broken(layer, value)
    arguments = ["--cpu", "--model", str(model), "--weights", str(file), "--out", "made"]
    assert main(["infer", *arguments, "a.png", "b.png"]) == 1
    said = capsys.readouterr()
    assert f"a.png: score is not finite (NaN or Inf), first in layer '{layer}'" in said.err
    assert "its weights are not finite" in said.err and str(file) in said.err
    assert "b.png" not in said.err and "background" not in said.out  # those of all pictures
    assert not list((tmp_path / "made").iterdir())


def test_infer_with_finite_weights_that_are_too_large(broken, model, scene, tmp_path, capsys):
    for name in ("a.png", "b.png"):
        Image.fromarray(scene).save(tmp_path / name)
    file = broken("body", 3e38)
    assert main(["infer", "--cpu", "--model", str(model), "--weights", str(file), "a.png"]) == 1
    said = capsys.readouterr().err
    assert (
        "first in layer 'body' (Convolution): what it reads is finite, what it gives is not" in said
    )
    assert "its largest weight is 3e+38: the weights are finite, but too large" in said


@pytest.mark.parametrize("value", BAD)
def test_score(value, broken, model, tmp_path, capsys):
    tiny_model.write_data(tmp_path / "data")
    file = broken("score_fr", value)
    arguments = ["--cpu", "--model", str(model), "--weights", str(file)]
    record, folder = tmp_path / "r.jsonl", tmp_path / "seg"
    assert main(["score", *arguments, "--save", str(folder), "--record", str(record)]) == 1
    said = capsys.readouterr()
    assert f"{file}: score is not finite (NaN or Inf), first in layer 'score_fr'" in said.err
    assert "mean IU" not in said.out and not record.exists() and not list(folder.rglob("*.png"))


def test_healthy_nets_pass_even_if_their_sum_overflows(net_of):
    net = net_of(
        'layer { name: "d" type: "Input" top: "d" input_param { shape { dim: [1, 2, 3, 4] } } }'
    )
    net.blobs["d"].data[...] = 3e38
    finite_scores.require_finite(net, "d")
    net.blobs["d"].data[0, 0, 0, 0] = -np.inf
    with pytest.raises(finite_scores.NotFinite) as error:
        finite_scores.require_finite(net, "d")
    assert not error.value.weights and error.value.exit_code == 1
    assert isinstance(error.value, ValueError)
