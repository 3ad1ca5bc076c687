"""The training loop behind every solve.py, on a net that trains in a second."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest
import tiny_model
import torch
from places import ROOT

import caffe
from fcn import places, prototxts, train
from fcn.cli import main
from fcn.train import Recipe


@pytest.fixture
def model(tmp_path, monkeypatch):
    """A model folder with data and starting weights; the working directory is elsewhere."""
    folder = tmp_path / "voc-tiny"
    tiny_model.write_data(tmp_path / "data")
    tiny_model.write_model(folder, snapshot=20)
    tiny_model.write_weights(folder, tmp_path / "start.caffemodel")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    return folder


def run(folder, *arguments, monkeypatch, rounds=2, steps=30, **recipe):
    monkeypatch.setattr(sys, "argv", ["solve.py", *map(str, arguments), "--cpu"])
    train.solve(str(folder / "solve.py"), Recipe("voc-start", rounds, steps, **recipe))


def records(folder, run=""):
    lines = (folder / "snapshot" / run / "scores.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def scores_of(record):
    """A record without what differs from run to run."""
    return {key: value for key, value in record.items() if key not in ("run", "time")}


def test_trains_scores_and_saves(model, monkeypatch, capsys):
    run(model, "--weights", "../start.caffemodel", "--seed", 3, monkeypatch=monkeypatch)
    first, last = records(model)
    assert (first["iteration"], last["iteration"]) == (30, 60)
    assert last["images"] == 3 and last["layer"] == "score"
    assert last["loss"] < first["loss"] < np.log(3)
    assert last["mean_iu"] > 0.5 and len(last["iu"]) == 3
    saved = sorted(path.name for path in (model / "snapshot").glob("*.caffemodel"))
    assert saved == [f"train_iter_{n}.caffemodel" for n in (20, 40, 60)]
    out = capsys.readouterr().out
    assert len(re.findall(r"^>>> .* Iteration 60 mean IU [01]\.\d", out, re.M)) == 1
    assert "starting from zero: score_fr" in out


def test_what_does_not_fit_is_not_begun(model, monkeypatch, capsys):
    monkeypatch.setattr("caffe.running.memory.device_memory", lambda where=None: (2**16, 2**16))
    with pytest.raises(SystemExit):
        run(model, "--weights", "../start.caffemodel", monkeypatch=monkeypatch)
    err = capsys.readouterr().err
    assert "refuse: training needs about" in err and "--recompute needs less" in err
    assert err.splitlines()[-1].startswith("voc-tiny/solve.py: not begun, for 1 of the findings")


def test_less_memory_changes_nothing(model, monkeypatch):
    start = ("--weights", "../start.caffemodel", "--seed", "3")
    called, recompute = [], caffe.Net.recompute
    monkeypatch.setattr(caffe.Net, "recompute", lambda net: called.append(net) or recompute(net))
    for more in ((), ("--recompute",)):
        assert not called
        run(model, *start, *more, monkeypatch=monkeypatch, rounds=1)
    once, again = records(model), records(model, "2")
    assert called and [*map(scores_of, once)] == [*map(scores_of, again)]


def test_training_is_repeatable_and_resumes(model, monkeypatch):
    start = ("--weights", "../start.caffemodel", "--seed", "3")
    run(model, *start, monkeypatch=monkeypatch, rounds=1)
    once = records(model)[-1]
    run(model, *start, monkeypatch=monkeypatch, rounds=1)
    assert scores_of(once) == scores_of(records(model, "2")[-1])
    run(model, "--resume", monkeypatch=monkeypatch, rounds=2)  # the run last worked on
    assert [record["iteration"] for record in records(model, "2")] == [30, 60]
    assert records(model, "2")[-1]["loss"] < once["loss"] and len(records(model)) == 1


def cut(path, share=0.5):
    """Leave the first part of a file, as a copy that broke off does."""
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])


def without_last_layer(path):
    """A caffemodel cut between two layers: it reads without an error."""
    net = caffe.proto.caffe_pb2.NetParameter.FromString(path.read_bytes())
    while not net.layer[-1].blobs:
        net.layer.pop()
    net.layer.pop()
    path.write_bytes(net.SerializeToString())


@pytest.mark.parametrize(
    "ending, harm, said",
    [
        ("solverstate", cut, "train_iter_40.solverstate"),
        ("solverstate", lambda path: path.write_bytes(b""), "train_iter_40.solverstate"),
        ("caffemodel", cut, "train_iter_40.caffemodel"),
        ("caffemodel", without_last_layer, "lacks the layers upscore"),
        ("caffemodel", lambda path: path.unlink(), "train_iter_40.caffemodel are not there"),
    ],
)
def test_a_damaged_pair_is_named_and_the_one_before_taken(
    model, monkeypatch, capsys, ending, harm, said
):
    run(model, "--weights", "../start.caffemodel", monkeypatch=monkeypatch, rounds=1, steps=40)
    harm(model / "snapshot" / f"train_iter_40.{ending}")
    run(model, "--resume", monkeypatch=monkeypatch, rounds=1, steps=50)
    told = capsys.readouterr()
    assert "not whole, left out: train_iter_40.solverstate: " in told.err and said in told.err
    assert "goes on from snapshot/train_iter_20.solverstate" in told.out
    assert (model / "snapshot" / "train_iter_50.solverstate").exists()
    for path in (model / "snapshot").glob("*.solverstate"):
        path.write_bytes(b"")
    with pytest.raises(SystemExit) as end:
        run(model, "--resume", monkeypatch=monkeypatch)
    assert end.value.code == 2
    assert "no whole snapshot among 3 in snapshot" in capsys.readouterr().err


def test_the_command_does_what_the_script_does(model, monkeypatch):
    start = ("--weights", "../start.caffemodel", "--seed", "3")
    run(model, *start, monkeypatch=monkeypatch, rounds=1)
    recipe = "from fcn.train import Recipe\nRECIPE = Recipe('voc-start', rounds=1, steps=30)\n"
    (model / "solve.py").write_text(recipe)
    monkeypatch.chdir(model.parent / "elsewhere")
    assert main(["train", "../voc-tiny", *start, "--cpu"]) == 0
    assert [*map(scores_of, records(model))] == [*map(scores_of, records(model, "2"))]


def test_several_starting_nets_go_through_initialize(model, monkeypatch):
    seen = []

    def initialize(net, one, two):
        seen.extend(
            [one.params["body"][0].data[0, 0, 0, 0], two.params["body"][0].data[0, 0, 0, 0]]
        )
        net.params["body"][0].data[...] = one.params["body"][0].data

    tiny_model.write_weights(model, model.parent / "two.caffemodel", body=np.eye(3) / 50)
    monkeypatch.setattr(places, "ROOT", model.parent)
    arguments = ["solve.py", "--weights", "../start.caffemodel", "../two.caffemodel", "--cpu"]
    monkeypatch.setattr(sys, "argv", arguments)
    starts = ("voc-tiny", "voc-tiny")
    recipe = Recipe(starts, 1, 2, initialize=initialize)
    train.solve(str(model / "solve.py"), recipe)
    assert seen == pytest.approx([0.01, 0.02])


def test_a_net_of_zeros_is_refused(model, monkeypatch, capsys):
    """Weights whose names do not match leave every layer zero: nothing would ever be learned."""
    renamed = (model / "val.prototxt").read_text().replace('"body"', '"bodies"')
    (model / "val.prototxt").write_text(renamed)
    tiny = model.parent / "misnamed.caffemodel"
    deploy = prototxts.deploy(prototxts.read_net(model / "val.prototxt"))
    (model / "made.prototxt").write_text(prototxts.text_of(deploy))
    caffe.Net(str(model / "made.prototxt"), caffe.TEST).save(str(tiny))
    assert refused(model, "--weights", tiny, monkeypatch=monkeypatch) == 2
    err = capsys.readouterr().err
    assert "refuse: body, score_fr are zero and will stay so: no gradient passes" in err
    assert "not begun, for 2 of the findings above" in err


def refused(folder, *arguments, **more):
    """The exit code of a run that does not begin."""
    with pytest.raises(SystemExit) as end:
        run(folder, *arguments, **more)
    assert not list(folder.glob("snapshot/**/*.caffemodel"))
    return end.value.code


def test_scoring_what_is_trained_on_is_refused(model, monkeypatch, capsys):
    data = model.parent / "data"
    (data / "voc" / "ImageSets" / "Segmentation" / "seg11valid.txt").write_text("c\na\n")
    for folder, end in (("JPEGImages", "jpg"), ("SegmentationClass", "png")):
        source = data / "voc" / folder / f"c.{end}"
        (data / "voc" / folder / f"a.{end}").write_bytes(source.read_bytes())
    start = ("--weights", "../start.caffemodel")
    assert refused(model, *start, monkeypatch=monkeypatch) == 2
    message = capsys.readouterr().err
    assert "1 of the 2 pictures to score are trained on (a" in message
    assert "Traceback" not in message
    run(model, *start, "--leakage", monkeypatch=monkeypatch, steps=1)


@pytest.mark.parametrize(
    "wrong, said",
    [
        ({"solver.prototxt": "base_lrr: 1"}, r"solver.prototxt:.*base_lrr"),
        (
            {"solve": ["--set", "base_ir=1"]},
            "no field 'base_ir' of a solver; did you mean base_lr",
        ),
        ({"solve": ["--set", "base_lr=fast"]}, "--set base_lr=fast: .*"),
        ({"solve": ["--run", "../other"]}, "a run's name has letters"),
    ],
)
def test_mistakes_are_one_sentence(model, monkeypatch, capsys, wrong, said):
    for name in set(wrong) - {"solve"}:
        (model / name).write_text((model / name).read_text() + wrong[name])
    start = ("--weights", "../start.caffemodel", *wrong.get("solve", ()))
    assert refused(model, *start, monkeypatch=monkeypatch) == 2
    message = capsys.readouterr().err
    assert re.search(said, message) and "Traceback" not in message
    with pytest.raises(ValueError):  # with --debug it comes through
        run(model, *start, "--debug", monkeypatch=monkeypatch)


@pytest.mark.parametrize(
    "arguments, gone, said",
    [
        ([], None, r"no weights for voc-start(.|\n)*voc-start/snapshot/train_iter_N\.caffemodel"),
        (["--weights", "nowhere.caffemodel"], None, r"no weights file .*nowhere\.caffemodel"),
        (["--resume"], None, r"nothing to resume: no .*voc-tiny/snapshot"),
        (["--weights", "../start.caffemodel"], "sbd", r"no folder .*data/sbd(.|\n)*README"),
        (["--weights", "../start.caffemodel"], "sbd/train.txt", r"no split 'train'.*train\.txt"),
    ],
)
def test_what_is_missing_is_said_and_exits_2(model, monkeypatch, capsys, arguments, gone, said):
    if gone:
        path = model.parent / "data" / gone
        path.rename(path.with_name("moved"))
    with pytest.raises(SystemExit) as end:
        run(model, *arguments, monkeypatch=monkeypatch)
    assert end.value.code == 2
    assert re.search(said, capsys.readouterr().err)


def test_a_precision_is_used_or_refused_in_one_line(model, monkeypatch, capsys):
    monkeypatch.setattr(caffe.context, "precisions", lambda where=None: ["float32", "bf16"])
    start = ("--weights", "../start.caffemodel")
    with pytest.raises(SystemExit) as end:
        run(model, *start, "--precision", "tf32", monkeypatch=monkeypatch)
    assert "tf32 was asked for, but this CPU has float32, bf16" in end.value.code
    run(model, *start, "--precision", "bf16", monkeypatch=monkeypatch, steps=2)
    assert caffe.context.multiply_dtype() == torch.bfloat16
    assert "multiplying in bf16" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ["0", "--cpu"],
        ["--gpu", "0", "--cpu"],
        ["--sample"],
        ["--steps", "0"],
        ["--precision", "fp16"],
        ["--resume", "--weights", "x.caffemodel"],
    ],
)
def test_senseless_arguments_exit_2(model, monkeypatch, arguments):
    monkeypatch.setattr(sys, "argv", ["solve.py", *arguments])
    with pytest.raises(SystemExit) as end:
        train.solve(str(model / "solve.py"), Recipe("voc-start", 1, 1))
    assert end.value.code == 2


def test_the_originals_one_argument_is_a_gpu(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["solve.py", "3"])
    assert train.parse(Recipe("voc-start", 25, 4000)).gpu == 3


def test_script_from_anywhere_without_weights(tmp_path):
    """A published model in a fresh clone: exit code 2, the path and the way to get the file."""
    script = ROOT / "voc-fcn-alexnet" / "solve.py"
    environment = {"PYTHONPATH": str(ROOT), "PATH": "", "GLOG_minloglevel": "2"}
    done = subprocess.run(
        [sys.executable, script], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    if (ROOT / "ilsvrc-nets" / "alexnet-fcn.caffemodel").exists():
        pytest.skip("the starting weights are there")
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert f"{ROOT}/ilsvrc-nets/alexnet-fcn.caffemodel" in done.stderr
    assert f"python {ROOT}/ilsvrc-nets/convert.py --model alexnet" in done.stderr
