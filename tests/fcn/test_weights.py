"""Which file holds which weights, which is taken, and what is said of it."""

import json
import os

import numpy as np
import pytest
import tiny_model
from places import ROOT

from fcn import models, prototxts, weights
from fcn.datasets.sample import scenes
from fcn.infer import segment
from fcn.tasks import SAMPLE


def test_own_snapshots_are_found_newest_first(project):
    model = project / "voc-tiny"
    tiny_model.write_model(model)
    (model / "snapshot").mkdir()
    for iteration in (4000, 100000, 96000):  # not in the order of their names' letters
        (model / "snapshot" / f"train_iter_{iteration}.caffemodel").write_bytes(b"")
    assert weights.find("voc-tiny").name == "train_iter_100000.caffemodel"
    assert models.prototxt_of("voc-tiny") == model / "val.prototxt"


def test_published_names_and_their_order(project):
    folder = project / "voc-fcn16s"
    (folder / "snapshot").mkdir(parents=True)
    expected = []
    for name in (
        "voc-fcn16s.caffemodel",
        "fcn16s-heavy-pascal.caffemodel",
        "snapshot/train_iter_8000.caffemodel",
        "snapshot/train_iter_12000.caffemodel",
    ):  # from the least to the most preferred
        (folder / name).write_bytes(b"")
        expected.append(folder / name)
        assert weights.find("voc-fcn16s") == expected[-1]
    found = [path for path in weights.candidates("voc-fcn16s") if path.exists()]
    assert found == expected[::-1]


@pytest.mark.parametrize(
    "net, path",
    [
        ("ilsvrc-nets/vgg16-fcn", "vgg16fc.caffemodel"),  # so nyud-fcn32s-color-d asks for it
        ("ilsvrc-nets/vgg16-fcn", "ilsvrc-nets/vgg16fc.caffemodel"),
        ("nyud-fcn32s-color", "nyud-rgb-32s/nyud-rgb-32s-28k.caffemodel"),  # -color-hha
        ("nyud-fcn32s-hha", "nyud-hha-32s/nyud-hha-32s-60k.caffemodel"),
        ("nyud-fcn32s-hha", "nyud-fcn32s-hha/nyud-fcn32s-hha-heavy.caffemodel"),
        ("siftflow-fcn16s", "siftflow-fcn16s/siftflow-fcn16s.caffemodel"),
        ("pascalcontext-fcn8s", "pascalcontext-fcn8s/fcn-8s-pascalcontext.caffemodel"),
        ("voc-fcn16s", "voc-fcn16s/fcn-16s-pascal.caffemodel"),
        ("ilsvrc-nets/alexnet-fcn", "ilsvrc-nets/alexnet-fcn.caffemodel"),
    ],
)
def test_the_names_of_older_editions_and_original_scripts(net, path, project, monkeypatch):
    monkeypatch.setattr(weights, "SHA1", {})
    place = project / path
    place.parent.mkdir(exist_ok=True)
    place.write_bytes(b"")
    assert weights.find(net).samefile(place)


def test_sha1_is_checked_and_said(tmp_path, monkeypatch, capsys):
    path = tmp_path / "fcn8s-heavy-pascal.caffemodel"
    path.write_bytes(b"abc")
    sha1 = "a9993e364706816aba3e25717850c26c9cd0d89d"  # of "abc"
    with pytest.raises(ValueError, match=f"sha1 is {sha1}, the published .* --any-weights"):
        weights.check(path)
    weights.check(path, any_weights=True)
    assert f"warning: {path}: sha1 is {sha1}, the published" in capsys.readouterr().out
    monkeypatch.setitem(weights.SHA1, path.name, sha1)
    weights.check(path)
    assert f"sha1 {sha1}, as published" in capsys.readouterr().out


def test_what_is_missing_tells_how_to_get_it():
    with pytest.raises(FileNotFoundError) as error:
        weights.find("voc-fcn8s-nothing")
    assert "train it: fcn train voc-fcn8s-nothing" in str(error.value)
    assert "fcn8s-heavy-pascal.caffemodel" in weights.how_to_get("voc-fcn8s")
    assert "ilsvrc-nets/convert.py" in weights.how_to_get("ilsvrc-nets/vgg16-fcn")


def test_the_file_that_comes_with_the_project(project):
    """It is taken before a run that was stopped, and after one that is finished."""
    folder = project / "voc-fcn8s" / "sample"
    folder.mkdir(parents=True)
    shipped = folder / "voc-fcn8s.caffemodel.h5"
    shipped.write_bytes(b"")
    run(folder / "snapshot", 600, how="SIGINT")
    choice = weights.choose("voc-fcn8s", sample=True)
    assert choice.taken.path == shipped
    assert choice.why() == "the file that comes with the project, and no run is finished"
    run(folder / "snapshot/2", 1300)
    assert weights.choose("voc-fcn8s", sample=True).taken.steps == 1300


def test_the_shipped_net_segments():
    """FCN-8s of the embedded task: what it was trained for, without any training here."""
    path = ROOT / "voc-fcn8s/sample/voc-fcn8s.caffemodel.h5"
    assert path.stat().st_size < 2_000_000
    rng = np.random.RandomState(5)
    pixels, labels = scenes.scene(rng, "infer")
    net = prototxts.load(ROOT / "voc-fcn8s/sample/val.prototxt", path)
    seg = segment(net, pixels, SAMPLE.mean)[""]
    assert set(np.unique(labels)) - {0} and (seg == labels)[labels > 0].mean() > 0.8


# ---- runs


def run(folder, *steps, how="done", time="2026-01-01T10:00:00", record=True):
    """Snapshots of a run, and its record of how it ended (None: it has not)."""
    folder.mkdir(parents=True, exist_ok=True)
    for count in steps:
        (folder / f"train_iter_{count}.caffemodel").write_bytes(b"")
    if record:
        ended = how and {"how": how, "iteration": max(steps), "time": time}
        (folder / "run.json").write_text(json.dumps({"run": folder.name, "ended": ended}))


@pytest.fixture
def fcn8s(project, monkeypatch):
    monkeypatch.setattr(weights, "check", lambda path, any_weights: None)
    (project / "voc-fcn8s/snapshot").mkdir(parents=True)
    return project / "voc-fcn8s"


def taken(folder, capsys):
    """(the path taken, relative to the model's folder, the line that was printed)."""
    path = weights.find("voc-fcn8s")
    return str(path.relative_to(folder)), capsys.readouterr().out


def test_a_trial_does_not_shadow_a_finished_run(fcn8s, capsys):
    run(fcn8s / "snapshot", 96000, 100000)
    run(fcn8s / "snapshot/2", 2, time="2026-02-01T10:00:00")
    path, said = taken(fcn8s, capsys)
    assert path == "snapshot/train_iter_100000.caffemodel"
    assert f"taking {fcn8s / path}: the finished run of 100000 steps; also there: " in said
    assert "snapshot/2/train_iter_2.caffemodel (trial of 2 steps)" in said


@pytest.mark.parametrize("how", ["done", "SIGINT", None])
@pytest.mark.parametrize("record", [True, False])
def test_two_steps_do_not_shadow_a_published_file(how, record, fcn8s, capsys):
    (fcn8s / "fcn8s-heavy-pascal.caffemodel").write_bytes(b"")
    run(fcn8s / "snapshot", 2, how=how, record=record)
    path, said = taken(fcn8s, capsys)
    assert path == "fcn8s-heavy-pascal.caffemodel"
    assert "the published file, and no run is finished; also there: " in said and "2 steps" in said


def test_an_interrupted_run_does_not_shadow_a_finished_or_published_one(fcn8s, capsys):
    run(fcn8s / "snapshot", 60000, how="SIGTERM")
    run(fcn8s / "snapshot/b", 50000, how=None)
    path, said = taken(fcn8s, capsys)
    assert path == "snapshot/train_iter_60000.caffemodel"
    assert "no finished run and no published file is there; the interrupted run of 60000" in said
    assert "b/train_iter_50000.caffemodel (run of 50000 steps that has not ended)" in said
    (fcn8s / "fcn-8s-pascal.caffemodel").write_bytes(b"")
    assert taken(fcn8s, capsys)[0] == "fcn-8s-pascal.caffemodel"
    run(fcn8s / "snapshot/c", 40000)
    assert taken(fcn8s, capsys)[0] == "snapshot/c/train_iter_40000.caffemodel"


def test_of_finished_runs_the_newest(fcn8s, capsys):
    run(fcn8s / "snapshot", 100000, time="2026-03-01T10:00:00")
    run(fcn8s / "snapshot/other", 80000, time="2026-04-01T10:00:00+02:00")
    path, said = taken(fcn8s, capsys)
    assert path == "snapshot/other/train_iter_80000.caffemodel"
    assert "the newest finished run of 80000 steps" in said


def test_the_last_snapshot_is_the_one_that_the_record_names(fcn8s, capsys):
    run(fcn8s / "snapshot", 4000)
    run(fcn8s / "snapshot", 8000, record=False)  # left by somebody else
    assert taken(fcn8s, capsys)[0] == "snapshot/train_iter_4000.caffemodel"


def test_folders_of_older_versions_and_damaged_records(fcn8s, capsys):
    run(fcn8s / "snapshot", 4000, record=False)
    path, said = taken(fcn8s, capsys)
    assert path == "snapshot/train_iter_4000.caffemodel"
    assert said == f"voc-fcn8s: taking {fcn8s / path}: the run of 4000 steps\n"
    for damaged in ("", "[]", "{", '{"ended": 3}', '{"ended": {"how": "done"}}'):
        (fcn8s / "snapshot/run.json").write_text(damaged)
        assert taken(fcn8s, capsys)[0] == path
    (fcn8s / "snapshot/pictures").mkdir()
    os.utime(fcn8s / path, (0, 0))
    run(fcn8s / "snapshot/5", 3000, record=False)
    assert taken(fcn8s, capsys)[0] == "snapshot/5/train_iter_3000.caffemodel"


def test_many_others_are_counted(fcn8s, capsys):
    for k in range(8):
        run(fcn8s / f"snapshot/r{k}", 1000 + k)
    assert taken(fcn8s, capsys)[1].endswith(" and 3 more\n")


def test_weights_that_are_named_are_taken(fcn8s, capsys):
    run(fcn8s / "snapshot", 100000)
    mine = fcn8s / "mine.caffemodel"
    mine.write_bytes(b"")
    assert weights.given_or_found(mine, "voc-fcn8s") == mine
    assert not capsys.readouterr().out
