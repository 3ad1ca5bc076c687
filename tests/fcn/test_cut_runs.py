"""Runs that were cut go on as if they had not been; snapshots that cannot be written lose nothing."""

import json
import random
import re

import pytest
import tiny_model
import warm

KILLED = """
import os, signal
import caffe
from caffe.files import paths
moments = iter({moments})
due = next(moments)
def tick(call):
    def counted(*args):
        global due
        due -= 1
        if due == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*args)
    return counted
os.replace = tick(os.replace)
os.fsync = tick(os.fsync)
caffe.SGDSolver.apply_update = tick(caffe.SGDSolver.apply_update)
"""
SOLVE = """from fcn.train import Recipe, solve
{more}
solve(__file__, Recipe("voc-start", rounds=2, steps=9))
"""


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "voc-tiny"
    tiny_model.write_data(tmp_path / "data")
    tiny_model.write_model(folder, snapshot=4)
    text = (folder / "train.prototxt").read_text()  # Dropout, whose numbers have to go on, too
    drop = 'layer { name: "drop" type: "Dropout" bottom: "body" top: "body" }\n'
    at = text.index("layer {\n", text.index('name: "body"'))
    (folder / "train.prototxt").write_text(text[:at] + drop + text[at:])
    solver = (folder / "solver.prototxt").read_text()
    (folder / "solver.prototxt").write_text(solver + "average_loss: 5 random_seed: 3\n")
    tiny_model.write_weights(folder, tmp_path / "start.caffemodel")
    return folder


def train(model, *arguments, more=""):
    (model / "solve.py").write_text(SOLVE.format(more=more))
    process = warm.start([model / "solve.py", "--cpu", "--anyway", *arguments], model.parent)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def fresh(model):
    return ["--weights", model.parent / "start.caffemodel"]


def result(run):
    """What a run has come to: weights and state, and the last scoring."""
    files = [(run / f"train_iter_18.{end}").read_bytes() for end in ("caffemodel",)]
    lines = [json.loads(line) for line in (run / "scores.jsonl").read_text().splitlines()]
    scores = {line["iteration"]: (line["hist"], line["loss"]) for line in lines}
    return files, scores[9], scores[18]


def test_killed_at_any_moment_a_run_goes_on_as_if_it_had_not_been(model):
    code, _, err = train(model, *fresh(model))
    assert code == 0, err
    rng = random.Random(1)
    kills = 0
    while True:
        begun = (model / "snapshot/cut").exists() and list(
            (model / "snapshot/cut").glob("*.solverstate")
        )
        moment = rng.randrange(1, 40)
        more = KILLED.format(moments=[moment])
        if not begun and (model / "snapshot/cut").exists():
            for path in (model / "snapshot/cut").iterdir():
                path.unlink()  # killed before its first snapshot: begun again
        begin = ["--resume", "--run", "cut"] if begun else [*fresh(model), "--run", "cut"]
        code, out, err = train(model, *begin, more=more)
        if code == 0:
            break
        assert code == -9, err
        kills += 1
        assert kills < 40
    assert kills > 2
    assert result(model / "snapshot/cut") == result(model / "snapshot")


def test_the_newest_snapshots_are_kept(model):
    code, _, err = train(model, *fresh(model), "--keep", 2)
    assert code == 0, err
    kept = sorted(path.name for path in (model / "snapshot").glob("train_iter_*"))
    assert sorted({re.search(r"_(\d+)\.", name)[1] for name in kept}) == ["16", "18"]
    assert len(kept) == 6
    code, _, err = train(model, *fresh(model), "--keep", 0)
    assert code == 2 and "--keep 0: 1 snapshot at least" in err


FULL = """
import errno, os
import caffe
from caffe.files import snapshot
write = snapshot.write
def full(stem, *args, **kwargs):
    if stem.endswith({stems}):
        raise OSError({error}, os.strerror({error}), stem)
    write(stem, *args, **kwargs)
snapshot.write = full
"""


@pytest.mark.parametrize("error", ["errno.ENOSPC", "errno.EROFS", "errno.EACCES"])
def test_a_snapshot_that_cannot_be_written_is_said_and_training_goes_on(model, error):
    more = FULL.format(stems="('_8', '_12')", error=error)
    code, _, err = train(model, *fresh(model), more=more)
    assert code == 0 and "Traceback" not in err
    assert re.search(
        r"no snapshot of iteration 8 \(.*\); the last one is .*_4.solverstate; training", err
    )
    assert "no snapshot of iteration 12" in err
    found = {
        path.name.split("_")[2].split(".")[0] for path in (model / "snapshot").glob("train_iter_*")
    }
    assert found == {"4", "16", "18"}


def test_a_snapshot_that_cannot_be_written_stops_a_run_that_is_to(model):
    more = FULL.format(stems="'_8'", error="errno.ENOSPC")
    code, _, err = train(model, *fresh(model), "--unsaved", "stop", more=more)
    assert code == 1 and "No space left on device" in err and "Traceback" not in err
    assert (model / "snapshot/train_iter_4.solverstate").is_file()


def test_the_folder_is_gone(model):
    gone = """
import os, shutil
import caffe
step = caffe.SGDSolver.apply_update
def move(self):
    if self.iter == 6:
        shutil.move("snapshot", "elsewhere")
    step(self)
caffe.SGDSolver.apply_update = move
"""
    code, _, err = train(model, *fresh(model), more=gone)
    assert "no snapshot of iteration 8" in err and "there is no folder" in err
    assert (
        "Traceback" not in err
        and (code == 1) != (model / "snapshot/train_iter_18.solverstate").is_file()
    )
    assert (model / "elsewhere/train_iter_4.solverstate").is_file()
