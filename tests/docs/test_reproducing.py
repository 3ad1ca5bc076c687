"""docs/reproducing.md: its numbers are those of results.md, its recipes those of the models."""

import re
import runpy

import pytest
from google.protobuf import text_format
from places import ROOT

from caffe.proto import caffe_pb2
from fcn import results

PAGE = (ROOT / "docs" / "reproducing.md").read_text()
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.splitlines()
    if re.match(r"\| (voc|nyud|siftflow|pascalcontext)-", line)
]
MODELS = sorted(path.parent.name for path in ROOT.glob("*-fcn*/solver.prototxt"))


def test_every_model_has_its_row():
    assert sorted(row[0] for row in ROWS if "," not in row[0]) == MODELS


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_published_numbers_are_those_of_results(row):
    model, _, geometric = row[0].partition(", ")
    layer = "score_geo" if geometric else "score"
    layer = "score_sem" if model == "siftflow-fcn8s" and not geometric else layer
    assert row[3] == results.quoted(results.PAPER.get((model, layer)))
    assert row[4] == results.quoted(results.ORIGINAL.get((model, layer)))


@pytest.mark.parametrize("row", [row for row in ROWS if row[1]], ids=lambda row: row[0])
def test_recipes_are_those_of_the_models(row):
    model, steps, settings = row[:3]
    recipe = runpy.run_path(str(ROOT / model / "solve.py"))["RECIPE"]
    assert steps == f"{recipe.rounds} x {recipe.steps:,}"
    text = (ROOT / model / "solver.prototxt").read_text()
    solver = text_format.Parse(text, caffe_pb2.SolverParameter())
    rate, momentum, *more = settings.split(", ")
    assert float(rate) == pytest.approx(solver.base_lr, rel=1e-6)
    assert float(momentum) == pytest.approx(solver.momentum, rel=1e-6)
    assert more == ([f"iter_size {solver.iter_size}"] if solver.iter_size > 1 else [])
