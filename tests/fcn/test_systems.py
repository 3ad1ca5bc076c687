"""`fcn systems`: which trainings it makes, what a record says, and the table of them."""

import json
import runpy
import sys

import numpy as np
import pytest

from fcn import cli, models, prototxts, systems, weights
from fcn.systems import Step
from fcn.tasks import task_of

STEPS = (
    Step("one", "the first", "voc-fcn16s"),
    Step("two", "the second", "systems/one", title="two, plain"),
    Step("two", "the second, more", "systems/one", ("--run", "more"), "two, more"),
)

FOLDERS = models.system_folders()


def record(name, seed, own, other):
    return dict(
        name=name, seed=seed, mean_iu=own, against_mean_iu=other, steps=10, seconds=90, date="now"
    )


def test_a_step_that_is_listed_is_a_folder_that_trains_on_the_embedded_task():
    trained = [step for step in systems.STEPS if step.system != systems.CRF]
    for step in systems.STEPS:
        assert models.folder(step.against, sample=True).is_dir()
    for step in trained:
        folder = models.folder(f"systems/{step.system}", sample=True)
        assert (folder / "solver.prototxt").is_file()
    listed = {step.system for step in trained}
    assert listed == {path.name for path in models.system_folders()}


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_a_system_is_a_whole_model_folder(folder):
    """Its start is there, its task is VOC's, its README of a page says how it is trained."""
    recipe = runpy.run_path(str(folder / "solve.py"))["RECIPE"]
    for start in recipe.starts:
        assert models.prototxt_of(start).is_file() and models.prototxt_of(start, True).is_file()
    name = models.model_name(str(folder))
    assert name == f"systems/{folder.name}" and name in weights.NAMES
    assert task_of(name).classes == 21 and task_of(name, True).classes == 11
    readme = (folder / "README.md").read_text()
    trained = (f"fcn train {name}", f"python {name}/solve.py", f"fcn systems {folder.name}")
    assert any(command in readme for command in trained) and len(readme.splitlines()) <= 70


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_prototxts_are_what_net_py_writes(folder, tmp_path, monkeypatch, capsys):
    script = tmp_path / "net.py"
    script.write_text((folder / "net.py").read_text())
    for inner in ("", "sample"):
        monkeypatch.setattr(sys, "argv", ["net.py"] + ["--sample"] * bool(inner))
        runpy.run_path(str(script), run_name="__main__")
        written = {path.name for path in (tmp_path / inner).glob("*.prototxt")}
        found = {path.name for path in (folder / inner).glob("*.prototxt")}
        assert written == found - {"solver.prototxt"} and written
        for name in written:
            assert (tmp_path / inner / name).read_text() == (folder / inner / name).read_text()


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_segments_a_picture_of_any_size(folder):
    if "superpixels" in (folder / "deploy.prototxt").read_text():
        pytest.importorskip("skimage")
    """In the form of the embedded task, whose weights are as the fillers make them."""
    net = prototxts.build(folder / "sample/val.prototxt")
    for size in ((37, 52), (5, 1)):
        net.blobs["data"].reshape(1, 3, *size)
        net.blobs["data"].data[...] = np.random.RandomState(0).normal(0, 50, (1, 3, *size))
        net.forward()
        assert net.blobs["score"].data.shape == (1, 11, *size)
        assert np.isfinite(net.blobs["score"].data).all()
    assert prototxts.scored(prototxts.read_net(folder / "sample/val.prototxt")) == {
        "score": "label"
    }


def test_names_choose_steps(monkeypatch):
    monkeypatch.setattr(systems, "STEPS", STEPS)
    assert systems.chosen([]) == list(STEPS)
    assert [step.name for step in systems.chosen(["systems/two/"])] == ["two, plain", "two, more"]
    with pytest.raises(ValueError, match="no system three; there are one, two"):
        systems.chosen(["three"])


def test_the_table_has_a_row_a_step_and_a_column_a_seed(monkeypatch):
    monkeypatch.setattr(systems, "STEPS", STEPS)
    records = [
        record("two, more", 2, 0.5, 0.25),
        record("one", 1, 0.1, 0.2),
        record("one", 1, 0.4, 0.3),
    ]
    lines = systems.table(records).splitlines()
    rows = [line for line in lines if line.startswith("| [")]
    assert "| seed 1 | seed 2 |" in systems.table(records)
    assert rows == [
        "| [one](one) | the first | voc-fcn16s | 0.400 (+0.100) |  | 10 | 1.5 |",
        "| [two, more](two) | the second, more | systems/one |  | 0.500 (+0.250) | 10 | 1.5 |",
    ]


def test_trains_and_records(tmp_path, monkeypatch, capsys):
    """The scores are those of the newest run; the net compared with must be trained before."""
    called = []
    monkeypatch.setattr(systems, "STEPS", STEPS[:1])
    monkeypatch.setattr(systems, "RECORDS", tmp_path / "results.jsonl")
    monkeypatch.setattr(systems, "TABLE", tmp_path / "results.md")
    monkeypatch.setattr(systems, "seed_of_scenes", lambda: 3)
    monkeypatch.setattr(systems, "run_python", lambda words: called.append(words) or 0)
    monkeypatch.setattr(models, "own_folder", lambda net, sample: tmp_path / net)
    assert cli.main(["systems"]) == 2
    assert "no run of voc-fcn16s --sample has scores" in capsys.readouterr().err and not called
    measures = dict(pixel_accuracy=0.9, mean_accuracy=0.6, fw_iu=0.8)
    for net, value in (("voc-fcn16s", 0.25), ("systems/one", 0.5)):
        folder = tmp_path / net / "snapshot"
        folder.mkdir(parents=True)
        scores = dict(measures, iteration=20, mean_iu=value)
        (folder / "scores.jsonl").write_text(json.dumps(scores) + "\n")
        times = dict(started="2020-01-01T10:00:00", ended=dict(time="2020-01-01T10:03:00"))
        (folder / "run.json").write_text(json.dumps(times))
    assert cli.main(["systems", "one"]) == 0
    assert called[0][1:] == ["--sample", "--seed", "3"] and called[0][0].endswith("one/solve.py")
    found = json.loads((tmp_path / "results.jsonl").read_text())
    assert (found["seed"], found["seconds"], found["mean_iu"]) == (3, 180, 0.5)
    assert found["against_mean_iu"] == 0.25
    assert "0.500 (+0.250) | 20 | 3.0 |" in (tmp_path / "results.md").read_text()
    monkeypatch.setattr(systems, "run_python", lambda words: 2)
    assert cli.main(["systems"]) == 2
    assert "one/solve.py ended with exit code 2" in capsys.readouterr().err


def test_a_net_is_scored_with_a_crf_behind_it(tmp_path, monkeypatch):
    """By fcn score, whose record is taken over; there is no training, and no folder to link to."""
    step = Step(systems.CRF, "refined", "voc-fcn16s", title="16s + CRF")
    scores = dict(pixel_accuracy=0.9, mean_accuracy=0.6, mean_iu=0.75, fw_iu=0.8, crf={"bi_w": 4})

    def scored(words):
        assert words[:5] == ["-m", "fcn", "score", "--model", "voc-fcn16s"] and "--crf" in words
        with open(words[words.index("--record") + 1], "w") as file:
            file.write(json.dumps(scores) + "\n")
        return 0

    monkeypatch.setattr(systems, "run_python", scored)
    monkeypatch.setattr(systems, "last_run", lambda net: (None, {"mean_iu": 0.7}))
    found = systems.record_of(step, 2)
    assert found["crf"] == {"bi_w": 4} and (found["mean_iu"], found["against_mean_iu"]) == (
        0.75,
        0.7,
    )
    monkeypatch.setattr(systems, "STEPS", [step])
    assert (
        systems.table([found])
        .splitlines()[-1]
        .startswith("| 16s + CRF | refined | voc-fcn16s | 0.750 (+0.050) |  | 0.")
    )
