"""Several workers train, score and segment as one does: started by torchrun's variables or by --jobs."""

import json
import re
import signal
import socket

import numpy as np
import pytest
import tiny_model
import warm
from places import ROOT

from caffe.proto import caffe_pb2
from fcn.cli import main
from fcn.jobs import without_jobs

SOLVE = """from fcn.train import Recipe, solve
{more}
solve(__file__, Recipe("voc-start", rounds=2, steps=5))
"""


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "voc-tiny"
    tiny_model.write_data(tmp_path / "data")
    tiny_model.write_model(folder)
    tiny_model.write_weights(folder, tmp_path / "start.caffemodel")
    tiny_model.write_weights(folder, tmp_path / "learned.caffemodel", score=np.eye(3))
    return folder


def begin(model, count, *arguments, more="", **environment):
    """Start workers of the model's solve.py, as torchrun does."""
    (model / "solve.py").write_text(SOLVE.format(more=more))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [model / "solve.py", "--cpu", "--anyway", *arguments]
    common = {"WORLD_SIZE": count, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port} | environment
    return [
        warm.start(words, model.parent, RANK=rank, LOCAL_RANK=rank, **common)
        for rank in range(count)
    ]


def end(processes):
    """(exit code, standard output, standard error) of each."""
    found = []
    for process in processes:
        out, err = process.communicate(timeout=60)
        found.append((process.returncode, out, err))
    return found


def fresh(model):
    return ["--weights", model.parent / "start.caffemodel"]


def records(run):
    text = (run / "scores.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def weights_in(path):
    net = caffe_pb2.NetParameter.FromString(path.read_bytes())
    return np.concatenate([blob.data for layer in net.layer for blob in layer.blobs])


@pytest.mark.parametrize("count", [2, 3])
def test_the_run_is_that_of_one_with_iter_size(model, count):
    told = end(begin(model, count, *fresh(model), "--seed", 5))
    assert [code for code, _, _ in told] == [0] * count, told
    assert all(out == "" for _, out, _ in told[1:])  # worker 0 alone tells
    alone = ["--run", "alone", "--seed", 5, "--set", f"iter_size={count}"]
    ((code, _, err),) = end(begin(model, 1, *fresh(model), *alone))
    assert code == 0, err
    together, single = model / "snapshot", model / "snapshot/alone"
    a, b = (weights_in(each / "train_iter_10.caffemodel") for each in (together, single))
    assert np.linalg.norm(a - b) < 1e-5 * np.linalg.norm(b) and np.abs(b).max() > 0
    for one, other in zip(records(together), records(single), strict=True):
        assert one["hist"] == other["hist"] and one["images"] == other["images"] == 3
        assert one["loss"] == pytest.approx(other["loss"], rel=1e-5)


def test_what_is_missing_is_told_once(model):
    told = end(begin(model, 2))
    assert [code for code, _, _ in told] == [2, 1]
    assert "voc-start" in told[0][2] and told[1][1:] == ("", "")


def test_an_error_of_one_is_told_by_worker_0_which_saves(model):
    broken = """
import os
from fcn.datasets.data_layer import SegDataLayer
load = SegDataLayer.load_all
def fail(self, id):
    SegDataLayer.count = getattr(SegDataLayer, "count", 0) + 1
    if os.environ["RANK"] == "1" and SegDataLayer.count == 6:
        raise ValueError(f"picture {id} is torn")
    return load(self, id)
SegDataLayer.load_all = fail
"""
    told = end(begin(model, 2, *fresh(model), more=broken))
    assert [code for code, _, _ in told] == [1, 1]
    assert re.search(r"worker 1 ended: ValueError: picture [ab] is torn", told[0][2]), told
    assert "saved in snapshot" in told[0][2] and "Traceback" not in told[0][2] + told[1][2]
    assert told[1][1:] == ("", "")
    told = end(begin(model, 3, "--resume"))  # with another number of workers
    assert [code for code, _, _ in told] == [0, 0, 0], told
    assert (model / "snapshot/train_iter_10.caffemodel").is_file()


def test_one_that_is_killed_is_named(model):
    killed = """
import os, signal
import caffe
step = caffe.SGDSolver.apply_update
def die(self):
    if os.environ["RANK"] == "1" and self.iter == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    step(self)
caffe.SGDSolver.apply_update = die
"""
    told = end(begin(model, 2, *fresh(model), more=killed))
    assert [code for code, _, _ in told] == [1, -signal.SIGKILL]
    assert "worker 1 is gone, in iteration" in told[0][2]
    assert "saved in snapshot" in told[0][2]


def test_a_signal_to_any_stops_all_after_the_same_step(model):
    asked = """
import os, signal
import caffe
step = caffe.SGDSolver.apply_update
def ask(self):
    if os.environ["RANK"] == "1" and self.iter == 2:
        os.kill(os.getpid(), signal.SIGTERM)
    step(self)
caffe.SGDSolver.apply_update = ask
"""
    told = end(begin(model, 2, *fresh(model), more=asked))
    assert [code for code, _, _ in told] == [143, 143], told
    assert "another worker was asked to stop" in told[0][2]
    (state,) = (model / "snapshot").glob("*.solverstate")
    assert int(re.search(r"_(\d+)\.", state.name)[1]) in (3, 4)


# ---- --jobs


def test_scores_of_several_processes_are_those_of_one(model, monkeypatch, capfd):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    file = model.parent / "learned.caffemodel"
    seen = []
    for jobs in ("1", "2"):
        record = model.parent / f"{jobs}.jsonl"
        save = model.parent / f"saved{jobs}"
        words = ["--weights", str(file), "--cpu", "--record", str(record), "--save", str(save)]
        assert main(["score", "--model", str(model), *words, "--jobs", jobs]) == 0
        (line,) = record.read_text().splitlines()
        seen.append((json.loads(line)["hist"], sorted(path.name for path in save.rglob("*.png"))))
        assert capfd.readouterr().out.count("as published") == 1  # told once
    assert seen[0] == seen[1] and len(seen[0][1]) == 3


def test_pictures_are_shared_out(model, monkeypatch, capfd):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.chdir(model.parent)
    pictures = [str(path) for path in sorted((model.parent / "data").rglob("*.jpg"))]
    words = ["--model", str(model), "--weights", "learned.caffemodel", "--cpu"]
    assert main(["infer", *pictures, "gone.jpg", *words, "--out", "one"]) == 1
    alone = capfd.readouterr()
    assert main(["infer", *pictures, "gone.jpg", *words, "--jobs", "2", "--out", "two"]) == 1
    shared = capfd.readouterr()
    assert sorted(shared.out.splitlines()) == sorted(alone.out.splitlines())
    assert shared.err == alone.err
    made = [
        sorted(path.name for path in (model.parent / name).iterdir()) for name in ("one", "two")
    ]
    assert made[0] == made[1] and len(made[0]) >= len(pictures)


def test_numbers_of_processes_that_cannot_be(capsys):
    assert main(["infer", "a.jpg", "--jobs", "0"]) == 2
    assert "at least 1 process" in capsys.readouterr().err
    assert without_jobs(["a", "--jobs", "3", "b", "--jobs=2"]) == ["a", "b"]
