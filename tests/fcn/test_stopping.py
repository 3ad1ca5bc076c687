"""Whatever ends a run saves first: signals, errors, full disks. Each in a process of its own."""

import csv
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tiny_model
import warm
from places import ROOT

import caffe

SOLVE = """from fcn.train import Recipe, solve
{more}
solve(__file__, Recipe("voc-start", rounds=1, steps={steps}))
"""
LONG = 1_000_000  # steps: the test ends the run, not the run the test
SLOW_SAVE = """
import os, time
import caffe
replace = os.replace
def slow(source, target):
    if "train_iter" in str(target):
        time.sleep(60)
    replace(source, target)
os.replace = slow
"""


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "voc-tiny"
    tiny_model.write_data(tmp_path / "data")
    tiny_model.write_model(folder)
    tiny_model.write_weights(folder, tmp_path / "start.caffemodel")
    return folder


def start(model, *arguments, steps=LONG, more="", weights="../start.caffemodel", cold=False):
    """Start the model's solve.py; `cold` in a process that has imported nothing."""
    (model / "solve.py").write_text(SOLVE.format(more=more, steps=steps))
    given = ["--weights", model / weights] if weights else []
    words = [model / "solve.py", "--cpu", *given, *arguments]
    if not cold:
        return warm.start(words, model.parent)
    return subprocess.Popen(
        [sys.executable, *words],
        cwd=model.parent,
        env=os.environ | warm.ENVIRONMENT | {"PYTHONUNBUFFERED": "1"},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def wait_for(path, what, seconds=60):
    """Wait until the text of a file has something."""
    end = time.monotonic() + seconds
    while not (path.exists() and what in path.read_text()):
        assert time.monotonic() < end, f"{path} has no {what!r}"
        time.sleep(0.02)


def rows_of(path):
    return list(csv.DictReader(path.read_text().splitlines()))


def saved(folder):
    """Caffe's two files of each snapshot; a third lies beside them."""
    found = sorted(path.name for path in folder.glob("train_iter_*"))
    stems = {name.removesuffix(".position.json") for name in found if name.endswith(".json")}
    assert all(f"{stem}.caffemodel" in found for stem in stems)
    return [name for name in found if not name.endswith(".json")]


@pytest.mark.parametrize("name, code", [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_signal_saves_and_the_run_goes_on_later(model, name, code):
    process = start(model)
    wait_for(model / "snapshot/log.csv", "\n1,20,")
    process.send_signal(getattr(signal, name))
    out, err = process.communicate(timeout=60)
    assert process.returncode == code
    assert f"{name}: saving to snapshot, press again to stop without" in err
    assert "go on with --resume" in out and "Traceback" not in err
    (caffemodel, state) = saved(model / "snapshot")
    ended = json.loads((model / "snapshot/run.json").read_text())["ended"]
    assert ended["how"] == name and state == f"train_iter_{ended['iteration']}.solverstate"
    steps = str(ended["iteration"] + 5)
    process = start(model, "--resume", "--steps", steps, weights=None)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert f"goes on from snapshot/{state}" in out
    assert f"train_iter_{steps}.caffemodel" in saved(model / "snapshot")


@pytest.mark.parametrize(
    "name, code, module",  # one imported early, and one late
    [("SIGINT", 130, "torch"), ("SIGTERM", 143, "fcn.training_loop"), ("SIGHUP", 129, "torch")],
)
def test_a_signal_before_the_first_step(model, module, name, code):
    wait = f"""
import importlib.abc, sys, time
class Wait(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == {module!r}:
            print("importing now", flush=True)
            time.sleep(20)
sys.meta_path.insert(0, Wait())
"""
    process = start(model, steps=5, more=wait, cold=True)
    while "importing now" not in process.stdout.readline():
        assert process.poll() is None
    process.send_signal(getattr(signal, name))
    out, err = process.communicate(timeout=15)
    assert process.returncode == code and err.strip() == (
        f"{name} before the first step: nothing to save"
    )
    assert saved(model / "snapshot") == []


def test_a_signal_after_the_save_changes_nothing(model):
    late = """
import os, time
from fcn import report
def slow(folder):
    print("reporting now", flush=True)
    time.sleep(3)
report.write_or_say = slow
"""
    process = start(model, more=late)
    wait_for(model / "snapshot/log.csv", "\n1,20,")
    (model / "snapshot/scores.jsonl").write_text("")  # so that there is something to report
    process.send_signal(signal.SIGTERM)
    while "reporting now" not in process.stdout.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 143 and "Traceback" not in err
    assert json.loads((model / "snapshot/run.json").read_text())["ended"]["how"] == "SIGTERM"


def test_a_resumed_run_without_anything_left(model):
    process = start(model, steps=10)
    assert process.communicate(timeout=60) and process.returncode == 0
    record = (model / "snapshot/run.json").read_text()
    for steps, code, said in (
        (10, 0, "run 1 is at its end, iteration 10 (1 x 10): nothing to do"),
        (4, 2, "run 1 is at iteration 10 already, beyond iteration 4"),
    ):
        process = start(model, "--resume", steps=steps, weights=None)
        out, err = process.communicate(timeout=60)
        assert process.returncode == code and said in out + err
        assert (model / "snapshot/run.json").read_text() == record


def test_scores_that_a_signal_cut_off_are_made_on_resuming(model):
    process = start(model, steps=10)
    assert process.communicate(timeout=60) and process.returncode == 0
    scores = model / "snapshot/scores.jsonl"
    wanted = json.loads(scores.read_text())
    scores.unlink()
    out, err = start(model, "--resume", steps=10, weights=None).communicate(timeout=60)
    made = json.loads(scores.read_text())
    assert made["iteration"] == 10 and made["hist"] == wanted["hist"], err


def test_a_solverstate_as_it_was_printed(model):
    process = start(model, steps=10)
    assert process.communicate(timeout=60) and process.returncode == 0
    for state in (
        "snapshot/train_iter_10.solverstate",
        "voc-tiny/snapshot/train_iter_10.solverstate",
    ):
        process = start(model, "--resume", state, steps=12, weights=None)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        assert "goes on from snapshot/train_iter_10.solverstate" in out
    out, err = start(model, "--resume", "none.solverstate", weights=None).communicate(timeout=60)
    assert "no solverstate" in err and "fcn data sample" not in err


def test_a_second_signal_stops_without(model):
    process = start(model, more=SLOW_SAVE)
    wait_for(model / "snapshot/log.csv", "\n1,20,")
    process.send_signal(signal.SIGINT)
    time.sleep(2)  # it is saving now, and takes a minute
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130 and saved(model / "snapshot") == []
    assert "without saving: there is no snapshot" in err and "Traceback" not in err
    ended = json.loads((model / "snapshot/run.json").read_text())["ended"]
    assert ended["how"] == "SIGINT twice"


def test_a_signal_while_scoring_does_not_wait_for_the_scores(model):
    slow = "import time, fcn.scoring as s\nadd = s.ConfusionMatrix.add\n"
    slow += "def wait(self):\n    print('counting now', flush=True)\n    time.sleep(20)\n"
    process = start(model, steps=3, more=slow + "s.ConfusionMatrix.add = wait\n")
    while "counting now" not in process.stdout.readline():
        assert process.poll() is None
    begin = time.monotonic()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 143 and time.monotonic() - begin < 15
    assert saved(model / "snapshot") == ["train_iter_3.caffemodel", "train_iter_3.solverstate"]


def test_an_error_in_a_data_layer_saves_and_is_one_sentence(model):
    process = start(model)
    wait_for(model / "snapshot/log.csv", "\n1,20,")
    (model.parent / "data/sbd/cls/a.mat").write_bytes(b"no MATLAB file")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "a.mat" in err and "Traceback" not in err
    assert len(saved(model / "snapshot")) == 2 and "saved in snapshot" in err
    assert "a.mat" in json.loads((model / "snapshot/run.json").read_text())["ended"]["how"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_for_the_log_saves(model):
    process = start(model)
    wait_for(model / "snapshot/log.csv", "\n1,20,")
    (model / "full").symlink_to("/dev/full")
    os.replace(model / "full", model / "snapshot/log.csv")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1 and len(saved(model / "snapshot")) == 2
    assert "log.csv: No space left on device" in err and "Traceback" not in err


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_for_caffes_lines_is_told_once(model):
    full = "import caffe\nreal = caffe.log_to_file\ncaffe.log_to_file = lambda path: real('/dev/full')\n"
    process = start(model, steps=50, more=full)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0 and len(saved(model / "snapshot")) == 2
    assert err.count("/dev/full cannot be written (No space left on device)") == 1
    assert "Traceback" not in err


def test_a_run_to_its_end(model):
    process = start(model, "--seed", "3", "--set", "display=10", "momentum=.5", steps=30)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert saved(model / "snapshot") == ["train_iter_30.caffemodel", "train_iter_30.solverstate"]
    record = json.loads((model / "snapshot/run.json").read_text())
    assert record["ended"]["how"] == "done" and record["ended"]["iteration"] == 30
    assert (
        record["set"] == {"display": "10", "momentum": ".5"} and "momentum: 0.5" in record["solver"]
    )
    rows = rows_of(model / "snapshot/log.csv")
    assert [int(row["iteration"]) for row in rows] == [0, 10, 20]
    sha1 = record["start"][0]["sha1"]
    scores = json.loads((model / "snapshot/scores.jsonl").read_text())
    for each in (*rows, scores):
        assert (each["run"], str(each["seed"]), each["start_sha1"]) == ("1", "3", sha1)
        assert float(each["rate"]) == pytest.approx(0.01) and each["time"]
    assert sum(map(sum, scores["hist"])) > 0
    assert float(rows[0]["loss_per_pixel"]) == pytest.approx(1.0986, abs=1e-3)
    assert "iteration 20 of 30: loss 0." in out and "left" in out
    assert "solver.cpp" not in out + err  # Caffe's own lines are in the log
    assert "snapshot: 0 in solver.prototxt: this run saves when it ends" in out


def test_a_poisoned_run_stops_and_saves_nothing_of_it(model, monkeypatch):
    monkeypatch.chdir(model)  # paths in prototxts are relative to it
    process = start(model, "--set", "base_lr=1e30", "snapshot=1", steps=100)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1 and "Traceback" not in err
    assert "refuse: " in err and "rate 1e+30; momentum 0.9" in err and "first in" in err
    states = sorted(path.stem for path in (model / "snapshot").glob("*.solverstate"))
    assert len(states) < 20  # it stopped within a display
    for path in (model / "snapshot").glob("*.caffemodel"):
        net = caffe.Net(str(model / "val.prototxt"), str(path), caffe.TEST)
        assert all(np.isfinite(b.data).all() for blobs in net.params.values() for b in blobs)
    assert err.count("became NaN") + err.count("is NaN") <= 1 and "for the reason above" in err
    told = [
        json.loads(line) for line in (model / "snapshot/findings.jsonl").read_text().splitlines()
    ]
    assert "nan" in [finding["kind"] for finding in told]


def test_what_is_in_vain_is_not_begun(model, monkeypatch):
    monkeypatch.chdir(model)
    net = caffe.Net(str(model / "val.prototxt"), str(model / "../start.caffemodel"), caffe.TEST)
    net.params["body"][0].data[...] = np.nan
    net.save(str(model / "../nan.caffemodel"))
    process = start(model, steps=5, weights="../nan.caffemodel")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 2 and "Traceback" not in err
    assert "NaN" in err and "body" in err and "--anyway" in err
    assert saved(model / "snapshot") == []
    process = start(model, steps=5)  # it takes the same folder, and none of those findings
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert len(saved(model / "snapshot")) == 2
    findings = model / "snapshot/findings.jsonl"
    assert not findings.exists() or "refuse" not in findings.read_text()


def test_the_report_is_written(model):
    process = start(model, "--rounds", "2", steps=5)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    page = (model / "snapshot/report.html").read_text()
    assert "voc-tiny" in page and "mean IU" in page and "data:image/" in page
    assert (model / "snapshot/report-loss.png").stat().st_size > 1000
    assert len(list((model / "snapshot/pictures/score").glob("iter_*/*.png"))) == 6


def test_caffes_tools_read_the_log(model, tmp_path):
    process = start(model, "--set", "display=10", steps=30)
    process.communicate(timeout=60)
    assert process.returncode == 0
    log = model / "snapshot/train.log"
    done = subprocess.run(
        [sys.executable, "-m", "caffe", "parse_log", str(log), str(tmp_path)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    rows = rows_of(tmp_path / "train.log.train")
    assert [float(row["NumIters"]) for row in rows] == [0, 10, 20]
    assert float(rows[0]["loss"]) > float(rows[-1]["loss"])
    (scored,) = rows_of(tmp_path / "train.log.test")
    (record,) = map(json.loads, (model / "snapshot/scores.jsonl").read_text().splitlines())
    assert float(scored["NumIters"]) == 30
    for name in ("loss", "pixel_accuracy", "mean_accuracy", "mean_iu", "fw_iu"):
        assert float(scored[name]) == pytest.approx(record[name], rel=1e-5)
