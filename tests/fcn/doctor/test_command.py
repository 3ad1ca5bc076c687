"""`fcn doctor` on a folder of a user's own."""

import numpy as np
import pytest
import tiny_model
from PIL import Image

from fcn.cli import main

RECIPE = "from fcn.train import Recipe\nRECIPE = Recipe('voc-start', rounds=1, steps=30)\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    tiny_model.write_data(tmp_path / "data")
    tiny_model.write_model(tmp_path / "mine")
    tiny_model.write_weights(tmp_path / "mine", tmp_path / "start.caffemodel")
    (tmp_path / "mine/solve.py").write_text(RECIPE)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "mine"


def doctor(folder, capsys, *more):
    status = main(["doctor", str(folder), "--cpu", *more])
    return status, capsys.readouterr().out


def test_nothing_is_wrong(folder, capsys):
    status, out = doctor(folder, capsys, "--weights", "start.caffemodel")
    assert status == 0 and "nothing is wrong" in out


def test_weights_are_missing(folder, capsys):
    status, out = doctor(folder, capsys)
    assert status == 1 and "the weights of voc-start" in out


def test_findings_in_order_of_weight(folder, capsys):
    solver = folder / "solver.prototxt"
    solver.write_text(solver.read_text().replace("base_lr: 0.01", "base_lr: 1e-12"))
    mask = folder.parent / "data/voc/SegmentationClass/c.png"
    with Image.open(mask) as image:
        image.convert("RGB").save(mask)
    status, out = doctor(folder, capsys, "--weights", "start.caffemodel")
    assert status == 1 and "2 findings" in out
    assert out.index("REFUSE labels.rgb") < out.index("WARN recipe.rate") and str(mask) in out


def test_weights_of_another_width(folder, capsys):
    text = (folder / "train.prototxt").read_text()
    wider = text.replace('bottom: "data"\n  top: "body"', 'bottom: "data"\n  top: "body"', 1)
    wider = wider.replace("kernel_size: 1\n    pad: 20", "kernel_size: 3\n    pad: 21")
    wider = wider.replace("pad: 20\n    kernel_size: 1", "pad: 21\n    kernel_size: 3")
    assert wider != text
    (folder / "train.prototxt").write_text(wider)
    status, out = doctor(folder, capsys, "--weights", "start.caffemodel")
    assert status == 1 and "weights.misfit" in out and "body" in out


def test_nan_weights_and_a_folder_without_recipe(folder, capsys):
    tiny_model.write_weights(folder, folder.parent / "nan.caffemodel", body=np.full((3, 3), np.nan))
    status, out = doctor(folder, capsys, "--weights", "nan.caffemodel")
    assert status == 1 and "weights.nan" in out and "body (9 values)" in out
    (folder / "solve.py").unlink()
    assert doctor(folder, capsys)[0] == 1  # unfilled and without a filler: it would not learn


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize("name, net", [("val", "test"), ("train", "train")])
def test_a_broken_prototxt_is_a_finding_among_others(folder, capsys, name, net):
    """What can be checked of the other net is checked."""
    edit(
        folder / f"{name}.prototxt",
        "layer {",
        "layer [",
    )
    other = {"val": "train", "train": "val"}[name]
    edit(folder / f"{other}.prototxt", "ignore_label: 255", "ignore_label: 1")
    status, out = doctor(folder, capsys, "--weights", "start.caffemodel")
    assert status == 1 and f"REFUSE net.unreadable: the {net} net cannot be read" in out
    assert f"{name}.prototxt:" in out and "net.ignore" in out


def test_a_prototxt_that_is_not_there(folder, capsys):
    (folder / "val.prototxt").unlink()
    status, out = doctor(folder, capsys, "--weights", "start.caffemodel")
    assert status == 1 and "the test net cannot be read" in out
    assert f"no file {folder / 'val.prototxt'}" in out and "1 finding" in out


@pytest.mark.parametrize("name, net", [("val", "test"), ("train", "train")])
def test_a_net_that_cannot_be_built(folder, capsys, name, net):
    edit(folder / f"{name}.prototxt", 'type: "Pooling"', 'type: "Poling"')
    status, out = doctor(folder, capsys, "--weights", "start.caffemodel")
    assert status == 1 and "1 finding" in out
    assert f"net.not_built: the {net} net cannot be built: " in out
    assert "layer 'drop7' (Poling)" in out
    assert f"way out: change layer 'drop7' in {name}.prototxt" in out


def test_what_a_data_layer_raises_is_said_once(folder, capsys):
    """With its cause, and before what follows from it."""
    for name in ("train", "val"):
        edit(folder / f"{name}.prototxt", "\\'classes\\': 3", "\\'classes\\': \\'three\\'")
    status, out = doctor(folder, capsys, "--weights", "start.caffemodel")
    assert status == 1 and "not_built" not in out and "net.outputs" not in out
    assert out.count("data.params") == 2 and "2 findings" in out


def test_masks_that_keep_the_net_from_being_built(folder, capsys):
    masks = folder.parent / "data/voc/SegmentationClass"
    for path in masks.glob("*.png"):
        with Image.open(path) as image:
            Image.fromarray(np.where(np.asarray(image) > 0, 128, 0).astype(np.uint8)).save(path)
    status, out = doctor(folder, capsys, "--weights", "start.caffemodel")
    assert status == 1 and "1 finding" in out and "3 files: masks are binary" in out


def test_notes_are_counted(folder, capsys):
    (folder.parent / "data/sbd/train.txt").write_text("a\n")
    status, out = doctor(folder, capsys, "--weights", "start.caffemodel")
    assert status == 0 and ("1 note" in out) == ("NOTE" in out) and "1 notes" not in out
