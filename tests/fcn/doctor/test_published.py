"""The fifteen published models and the embedded task have no finding but what is missing."""

import pytest
from places import ROOT
from published import MODELS

from caffe.proto import caffe_pb2
from fcn import prototxts, train
from fcn.cli import main
from fcn.doctor import TRAIN, Case, before_training
from fcn.doctor.command import recipe_in
from fcn.doctor.weights import Flow

FORMS = [(model, "") for model in MODELS] + [
    (model, "sample") for model in ("voc-fcn32s", "voc-fcn16s", "voc-fcn8s")
]


def case_of(model, form):
    folder = ROOT / model / form
    settings = prototxts.read_text(folder / "solver.prototxt", caffe_pb2.SolverParameter())
    recipe = recipe_in(ROOT / model)
    assert isinstance(recipe, train.Recipe)
    return Case(
        folder, settings, scored=recipe.scored, wanted=recipe.starts, sample=bool(form), given=()
    )


@pytest.mark.parametrize("model, form", FORMS)
def test_no_finding_but_what_is_missing(model, form):
    found = before_training(case_of(model, form))
    assert [each for each in found if not each.kind.startswith("missing.")] == []


@pytest.mark.parametrize("model, form", FORMS)
def test_score_layers_that_start_from_zero_learn(model, form):
    net = case_of(model, form).nets[TRAIN]
    zero = [layer.name for layer in net.layer if layer.name.startswith("score")]
    zero = [
        name for name in zero if any(x.name == name and x.type == "Convolution" for x in net.layer)
    ]
    assert zero and Flow(net, zero).zero == set()
    assert Flow(net, [*zero, "fc6", "fc7"]).zero or "hha" in model


def test_the_command_lists_everything_that_is_missing(capsys, monkeypatch):
    if (ROOT / "data/pascal").is_dir() or (
        ROOT / "voc-fcn16s/fcn16s-heavy-pascal.caffemodel"
    ).exists():
        pytest.skip("data or weights are there")
    monkeypatch.chdir(ROOT)
    assert main(["doctor", "voc-fcn8s", "--cpu"]) == 1
    out = capsys.readouterr().out
    for word in ("voc-fcn16s", "sbdd_dir", "voc_dir", "3 GB", "fcn data fetch voc", "3 findings"):
        assert word in out


def test_the_command_without_a_model_folder(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    assert main(["doctor", "empty", "--cpu"]) == 2
    assert "no solver.prototxt" in capsys.readouterr().err
    assert main(["doctor", "nowhere", "--cpu"]) == 2
