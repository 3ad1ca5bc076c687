"""Every command of README and docs is one that there is, and is run where that takes seconds.

A page's commands and Python code are run in their order, in a project folder of its own with few
scenes of the embedded task. PARSED lists those that are only parsed, each with the reason.
"""

import argparse
import contextlib
import importlib.util
import re
import runpy
import shutil
import sys

import numpy as np
import pages
import pytest
import tiny_model
from PIL import Image
from places import ROOT

import caffe
import caffe.__main__
from caffe.commands import COMMANDS
from fcn import cli, places, prototxts, report, results

QUICK = "--sample --cpu --rounds 1 --steps 2 --anyway"
STAGE = r"voc-fcn(32|16|8)s(?![-\w])"
OWN = "(cells|roads|roads-2)(?![-\\w])"  # model folders that `fcn new` makes
# Command -> what is added, so that it is run in seconds and without a download
RUN = {
    r"fcn --help": "",
    r"fcn data sample\b": "--most 6",
    rf"fcn data check {OWN}": "",
    rf"fcn new {OWN}(?!.*--check)": "",
    r"fcn new cells-full": "",
    rf"fcn train {STAGE}": QUICK,
    rf"fcn train {OWN}": "--cpu --rounds 1 --steps 2 --anyway",
    rf"fcn doctor {STAGE}": "--sample",
    rf"fcn doctor {OWN}": "",
    rf"fcn score --model {STAGE}(?!.*--(server|jobs))": "--sample --cpu",
    rf"fcn score --model {OWN}": "--cpu",
    rf"fcn report {STAGE}": "--sample",
    rf"fcn report {OWN}": "",
    rf"fcn explain ({STAGE}|{OWN})": "",
    r"fcn infer (?!.*--(model|jobs))": "--sample --cpu",
    rf"fcn infer .*--model (deploy.prototxt|{OWN})": "--cpu",
    r"fcn figure\b": "--cpu",
    r"fcn results$": "",
    r"python ilsvrc-nets/solve.py --sample": "--steps 2 --cpu",
    r"python ilsvrc-nets/convert.py --sample": "",
    r"caffe ": "",
}
PUBLISHED = "(voc|nyud|siftflow|pascalcontext)"
WEIGHTS = "needs published weights, half a gigabyte"
NETWORK = "downloads; tests/fcn/test_get.py and datasets/test_fetch.py run it on a local server"
DATA = "needs a published data set; tests/fcn/datasets/ run it on small trees"
TRAINING = "needs a published data set and days; tests/fcn/test_train.py trains a small model"
ELSEWHERE = "sets up an environment, or takes minutes"
PARSED = {
    r"fcn get\b": NETWORK,
    r"fcn data fetch\b": NETWORK,
    rf"fcn data (prepare|check|upper-bound) {PUBLISHED}": DATA,
    r"fcn train (nyud|siftflow|pascalcontext|voc-fcn8s-atonce|voc-fcn-alexnet)": TRAINING,
    r"fcn train cells-full": "starts from VGG-16, half a gigabyte",
    r"fcn new .*--check": "trains for up to a minute; tests/fcn/new/ run it on a tiny net",
    r"fcn score --model (nyud|siftflow|pascalcontext)": DATA,
    r"fcn score .*--server": "is for VOC's classes; tests/fcn/test_score_command.py runs it",
    rf"fcn infer .*--model {PUBLISHED}": WEIGHTS,
    r"fcn (infer|score) .*--jobs": "starts processes; tests/fcn/test_together.py runs them",
    r"fcn crf-search": "takes minutes; tests/fcn/test_crf.py runs it on a tiny net",
    r"fcn serve": "serves until it is ended; tests/fcn/serving/ run it",
    r"fcn demo": ELSEWHERE,
    r"python ilsvrc-nets/convert.py(?! --sample)": WEIGHTS,
    r"torchrun ": "starts processes; tests/fcn/test_together.py starts them as it does",
    r"make |pip |python3 -m venv|\. \.venv/": ELSEWHERE,
}
FIRST = "docs/training.md"  # other pages do not run again what this one runs
CODES = {"doctor": (0, 1)}  # 1: it has found something
# What else than exit codes is no shell command of ours, but there where the manual is read
TOOLS = ("make", "pip", "python3", "torchrun", ".")

COMMANDS_OF = {page: [s for s in pages.steps(page) if s.kind == "command"] for page in pages.PAGES}
ALL = sorted({step.text for steps in COMMANDS_OF.values() for step in steps})
RUNNING = [page for page in pages.PAGES if pages.steps(page)]


def rules_of(command):
    """The rules that speak of a command."""
    return [rule for rule in (*RUN, *PARSED) if re.match(rule, command)]


# ---- every command is one that there is


@pytest.mark.parametrize("command", ALL)
def test_it_is_run_or_there_is_a_reason(command):
    assert len(rules_of(command)) == 1, rules_of(command)


def test_no_rule_is_idle():
    used = {rule for command in ALL for rule in rules_of(command)}
    assert used == {*RUN, *PARSED}


@pytest.mark.parametrize("command", ALL)
def test_it_is_parsed(command, monkeypatch):
    parse(pages.words_of(command), monkeypatch)


@pytest.mark.parametrize("page", pages.PAGES)
def test_commands_within_the_text_are_parsed(page, monkeypatch):
    for command in pages.inline_commands(page):
        words = pages.words_of(command)
        if words[0] != "fcn" or (cli.chosen(words[1:]) or "").split() != words[1:]:
            parse(words, monkeypatch)  # a command's name alone stands for it


def parse(words, monkeypatch):
    """Fail unless this is a command, with options that it has."""
    program, *rest = words
    if program == "fcn":
        with contextlib.suppress(SystemExit) if "--help" in rest else contextlib.nullcontext():
            cli.build_parser(cli.chosen(rest)).parse_args(rest)
    elif program == "caffe":
        assert rest[0] in COMMANDS, rest
    elif program == "python" and rest[0] == "-m":
        assert importlib.util.find_spec(rest[1]), rest
    elif program == "python" and rest[0].startswith("docs/"):
        assert (ROOT / rest[0]).is_file(), rest
    elif program == "python":
        parse_script(rest, monkeypatch)
    else:
        check_tool(program, rest)


class Parsed(Exception):
    """A script has read its command line."""


def parse_script(words, monkeypatch):
    """Run a script until it has read its command line; fail if it refuses that."""
    parse_args = argparse.ArgumentParser.parse_args

    def parsed(self, *arguments):
        parse_args(self, *arguments)
        raise Parsed

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parsed)
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(Parsed):
        runpy.run_path(str(ROOT / words[0]), run_name="__main__")
    monkeypatch.undo()


def check_tool(program, rest):
    """Fail unless a Makefile's target or a file of requirements is there."""
    assert program in TOOLS, program
    if program == "make":
        targets = [word for word in rest if "=" not in word]
        for target in targets:
            assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.M), target
    for option, value in zip(rest, rest[1:]):
        assert option != "-r" or (ROOT / value).is_file(), value


# ---- and what they do


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project folder with scenes and starting weights; files that the pages name lie there, too."""
    for model in ("voc-fcn32s", "voc-fcn16s", "voc-fcn8s", "ilsvrc-nets"):
        shutil.copytree(ROOT / model, tmp_path / model, ignore=shutil.ignore_patterns("snapshot"))
    shutil.copytree(ROOT / "data", tmp_path / "data", ignore=shutil.ignore_patterns("scenes"))
    for module, name, value in (
        (places, "ROOT", tmp_path),
        (places, "HOME", tmp_path),
        (results, "RECORDS", tmp_path / "results.jsonl"),
        (results, "TABLE", tmp_path / "results.md"),
    ):
        monkeypatch.setattr(module, name, value)
    # a training's own report takes longer than its steps here; `fcn report` is run by itself
    monkeypatch.setattr(report, "write_or_say", lambda folder: None)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)  # where a module is that a page exports
    assert cli.main(["data", "sample", "--most", "6"]) == 0
    classifier = tmp_path / "ilsvrc-nets/sample"
    caffe.Net(str(classifier / "vgg16-fcn.prototxt"), caffe.TEST).save(
        str(classifier / "vgg16-fcn.caffemodel")
    )
    write_files(tmp_path)
    return tmp_path


def write_files(folder):
    """The files that pages name: pictures, a mask, and a small model's nets, solver and weights."""
    rng = np.random.RandomState(0)
    scene = next((folder / "data/sample/scenes/voc/JPEGImages").glob("infer_*.jpg"))
    for name in ("image.jpg", "more.png", "photo.jpg", "photos/one.jpg", "photos/two.jpg"):
        (folder / name).parent.mkdir(exist_ok=True)
        Image.open(scene).save(folder / name)
    Image.fromarray(rng.randint(0, 3, (60, 80), np.uint8)).save(folder / "mask.png")
    for number, name in enumerate(("one", "two", "three", "four", "five", "six")):
        for kind, pixels in zip(("pictures", "masks"), tiny_model.picture(rng, 40 + number, 48)):
            (folder / kind).mkdir(exist_ok=True)
            ending = ".jpg" if kind == "pictures" else ".png"
            Image.fromarray(pixels).save(folder / kind / f"{name}{ending}")
    (folder / "classes.txt").write_text("background 0\nroad 1\ntree 2\n")
    (folder / "names.txt").write_text("dark\nred\ngreen\n")
    made = folder / "voc-tiny"
    tiny_model.write_data(folder / "data")
    tiny_model.write_model(made)
    tiny_model.write_weights(made, folder / "weights.caffemodel", score=np.eye(3))
    deployed = prototxts.text_of(prototxts.deploy(prototxts.read_net(made / "val.prototxt")))
    for name in ("deploy.prototxt", "old.prototxt"):
        (folder / name).write_text(deployed)
    for name in ("train", "val"):
        text = (made / f"{name}.prototxt").read_text().replace("../data", "data")
        (folder / f"{name}.prototxt").write_text(text)
    net = caffe.Net(str(folder / "deploy.prototxt"), str(folder / "weights.caffemodel"), caffe.TEST)
    blobs = {f"{name}.{at}": b.data for name, row in net.params.items() for at, b in enumerate(row)}
    np.savez(folder / "weights.npz", **blobs)
    shutil.copy(folder / "weights.caffemodel", folder / "other.caffemodel")
    (folder / "snapshot").mkdir()
    solver = (made / "solver.prototxt").read_text()
    (folder / "solver.prototxt").write_text(solver + "max_iter: 2 solver_mode: CPU\n")


def effect(command):
    """What a command is run as: its words; none for one that is only parsed."""
    (rule,) = rules_of(command)
    return frozenset(pages.words_of(f"{command} {RUN[rule]}")) if rule in RUN else None


@pytest.mark.parametrize("page", RUNNING)
def test_a_page_is_run_from_top_to_bottom(page, project, monkeypatch, capsys):
    elsewhere = {effect(step.text) for step in COMMANDS_OF[FIRST] if page != FIRST}
    known = {"picture": np.zeros((3, 500, 375), np.float32)}  # names that the text explains
    for step in pages.steps(page):
        monkeypatch.chdir(project)
        if step.kind == "python":
            exec(compile(step.text, f"{page}:{step.line}", "exec"), known)
            continue
        (rule,) = rules_of(step.text)
        if rule in RUN and effect(step.text) not in elsewhere:
            code = run(pages.words_of(f"{step.text} {RUN[rule]}"), monkeypatch)
            allowed = CODES.get(step.text.split()[1], (0,))
            assert code in allowed, f"{page}:{step.line}: {step.text}\n{capsys.readouterr().err}"


def run(words, monkeypatch):
    """Run a command in this process; returns its exit code."""
    program, *rest = words
    try:
        if program == "fcn":
            return cli.main(rest)
        if program == "caffe":
            return caffe.__main__.main(rest)
        monkeypatch.setattr(sys, "argv", rest)
        runpy.run_path(rest[0], run_name="__main__")
        return 0
    except SystemExit as end:
        return end.code or 0
