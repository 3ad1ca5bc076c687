"""From a folder of pictures and masks to a scored net: every command takes the folder that is made."""

import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from own_folders import colours, grey, new, write
from PIL import Image

from fcn.cli import main
from fcn.datasets import splits
from fcn.new import overfit
from fcn.tasks import task_of

NAMES = ["one/a b", "one/c", *(f"two/p{k}" for k in range(10))]
MAPS = ["--map", "0,0,0=ground", "200,30,60=tree", "10,180,90=house"]


@pytest.fixture
def folder(tmp_path, capsys):
    """A small model folder called voc-mine, beside which the working directory is."""
    write(tmp_path, NAMES, colours)
    assert new(tmp_path, "--small", *MAPS, capsys=capsys)[0] == 0
    (tmp_path / "mine").rename(tmp_path / "voc-mine")
    return tmp_path / "voc-mine"


@pytest.fixture
def ran(tmp_path, monkeypatch, capsys):
    """A function that runs a command in the test's folder: (exit code, what is said)."""

    def run(*arguments):
        monkeypatch.chdir(tmp_path)  # commands change it
        status = main([*map(str, arguments)])
        return status, "".join(capsys.readouterr())

    return run


def test_every_command_takes_the_folder(folder, ran):
    """Two rounds of a few steps; nobody hears of bicycles."""
    status, out = ran("doctor", "voc-mine", "--cpu")
    assert "REFUSE" not in out and "weights" not in out.replace("looking at the weights", "")
    status, out = ran(
        *["train", "voc-mine", "--cpu", "--rounds", "2", "--steps", "4", "--seed", "1"]
    )
    assert status == 0 and out.count("mean IU") >= 2, out
    about = json.loads((folder / "snapshot/run.json").read_text())
    assert about["classes"] == ["ground", "tree", "house"] and about["start"] == []
    record = folder / "all.jsonl"
    saved = folder / "saved"
    score = ["score", "--model", "voc-mine", "--cpu", "--record", record, "--save", saved]
    status, out = ran(*score)
    assert status == 0 and re.search(r"^house +0\.\d", out, re.M)
    ids = (folder / "val.txt").read_text().splitlines()
    assert all((saved / "label" / f"{id}.png").is_file() for id in ids)
    assert json.loads(record.read_text())["model"] == "voc-mine"
    status, out = ran("data", "check", "voc-mine")
    assert status == 0 and "no problems" in out
    status, out = ran("results", "voc-mine")
    table = (folder / "results.md").read_text()
    assert status == 0 and "| voc-mine | 1 | 8 |" in table and "| house |" in table
    for command in (["report", "voc-mine"], ["explain", "voc-mine"]):
        status, out = ran(*command)
        assert status == 0 and "bicycle" not in out, command
    assert "house" in (folder / "snapshot/report.html").read_text()


def test_stages_train_from_one_another(tmp_path, ran, capsys):
    write(tmp_path, NAMES, grey)
    status, out = new(tmp_path, "--small", "--stages", capsys=capsys)
    assert status == 0 and out.index("mine/fcn32s") < out.index("mine/fcn8s --open")
    for stage in ("fcn32s", "fcn16s"):
        arguments = ["train", f"mine/{stage}", "--cpu", "--rounds", "1", "--steps", "2", "--anyway"]
        status, out = ran(*arguments)
        assert status == 0, out
        assert ("starting from" in out) and task_of(str(tmp_path / "mine" / stage)).classes == 3
    assert "fcn32s: " in out and "starting from zero: score_pool4" in out
    status, out = ran("results", "mine")
    assert status == 0 and "| fcn16s | 1 | 2 |" in (tmp_path / "mine/results.md").read_text()


def test_the_full_width_starts_from_vgg(tmp_path, ran, capsys):
    write(tmp_path, NAMES, grey)
    status, out = new(tmp_path, capsys=capsys)
    assert status == 0 and "convert.py" in out
    net = (tmp_path / "mine/train.prototxt").read_text()
    assert "num_output: 4096" in net and 'name: "scale_pool3"' in net and "normalize: true" in net
    solver = (tmp_path / "mine/solver.prototxt").read_text()
    assert "base_lr: 1.88e-05" in solver and "momentum: 0.99" in solver
    for command in (["train", "mine", "--cpu"], ["new", "mine", "--check", "--cpu"]):
        status, out = ran(*command)
        assert status == 2 and "no weights for ilsvrc-nets/vgg16-fcn" in out and "convert.py" in out


def test_net_py_writes_the_prototxts_again(folder):
    before = {path.name: path.read_text() for path in folder.glob("*.prototxt")}
    for name in ("train", "val", "deploy"):
        (folder / f"{name}.prototxt").unlink()
    subprocess.run([sys.executable, folder / "net.py"], check=True, capture_output=True)
    assert before == {path.name: path.read_text() for path in folder.glob("*.prototxt")}
    style = [
        sys.executable,
        "-m",
        "ruff",
        "check",
        "--isolated",
        "--select",
        "E,F,I",
        "--line-length",
        "110",
        folder,
    ]
    subprocess.run(style, check=True, capture_output=True)


# ---- one picture by heart


@pytest.mark.slow
def test_one_picture_is_learned_by_heart(tmp_path, folder, ran, capsys):
    shutil.rmtree(folder)
    write(tmp_path, NAMES[:4], colours, scale=5)  # objects that are wider than 8 pixels
    assert new(tmp_path, "--small", *MAPS, capsys=capsys)[0] == 0
    (tmp_path / "mine").rename(folder)
    status, out = ran("new", "voc-mine", "--check", "--cpu")
    assert status == 0 and "data, labels and net fit" in out, out
    assert float(re.search(r"([\d.]+)% of .* is right", out)[1]) >= 99
    assert "tree" in out and not (folder / "snapshot").exists()


def test_labels_that_nobody_can_learn(folder, ran, monkeypatch):
    """Noise in place of labels: the check fails, and says so."""
    for path in (folder / "masks").rglob("*.png"):
        noise = np.random.RandomState(0).randint(0, 3, (24, 30)).astype(np.uint8)
        Image.fromarray(noise).save(path)
    monkeypatch.setattr(overfit, "MOST", 30)
    status, out = ran("new", "voc-mine", "--check", "--cpu")
    assert status == 1 and "not 99%" in out


def test_objects_too_thin_for_the_net_are_told(folder, ran, monkeypatch):
    """Lines of one pixel, a ninth of all: at 8 pixels' distance nothing is left of them."""
    for path in (folder / "masks").rglob("*.png"):
        lines = np.zeros((24, 30), np.uint8)
        lines[::9] = 1
        Image.fromarray(lines).save(path)
    monkeypatch.setattr(overfit, "MOST", 300)
    monkeypatch.setattr(overfit, "PATIENCE", 60)
    status, out = ran("new", "voc-mine", "--check", "--cpu")
    assert status == 1 and "its objects are thin" in out and "87.50% are right if" in out, out
    assert int(re.search(r"after (\d+) steps", out)[1]) < 300  # it saw that nothing more came


def test_check_without_a_folder(tmp_path, ran):
    status, out = ran("new", tmp_path / "none", "--check", "--cpu")
    assert status == 2 and "fcn new makes one" in out


# ---- splits


def test_new_pictures_leave_the_others_where_they_are():
    ids = [f"scene {k}" for k in range(300)]
    train, val = splits.drawn({id: id for id in ids}, 0.2)
    assert sorted([*train, *val]) == sorted(ids) and 40 <= len(val) <= 80
    more = [*ids, *(f"new {k}" for k in range(50))]
    train_too, val_too = splits.drawn({id: id for id in more}, 0.2)
    assert set(val) <= set(val_too) and set(train) <= set(train_too)


def test_the_same_scene_stays_on_one_side():
    scenes = {f"p{k}": f"scene {k % 30}" for k in range(90)}
    train, val = splits.drawn(scenes, 0.3)
    assert val and not {scenes[id] for id in train} & {scenes[id] for id in val}


def test_neither_side_is_empty():
    for share in (0.001, 0.999):
        train, val = splits.drawn({"a": "1", "b": "2", "c": "2"}, share)
        assert train and val
    with pytest.raises(ValueError, match="2 pictures of one scene"):
        splits.drawn({"a": "1", "b": "1"}, 0.5)


def test_copies_of_a_picture_are_found(tmp_path, capsys):
    """Pixels count, not files."""
    write(tmp_path, [f"p{k}" for k in range(6)], grey, picture=".png")
    for k in range(6):
        with Image.open(tmp_path / f"pictures/p{k}.png") as image:
            image.save(tmp_path / f"pictures/copy{k}.bmp")
        mask = (tmp_path / f"masks/p{k}.png").read_bytes()
        (tmp_path / f"masks/copy{k}.png").write_bytes(mask)
    assert new(tmp_path, "--val", "0.5", capsys=capsys)[0] == 0
    train = (tmp_path / "mine/train.txt").read_text().split()
    assert len(train) in range(2, 12, 2)
    assert {name[-1] for name in train if name[0] == "p"} == {name[-1] for name in train}


@pytest.mark.parametrize("text", ["background\n", "background\ncell\nother\n", "cell\ncell\n"])
def test_a_list_of_classes_that_is_not_the_net_s_is_refused(tmp_path, text, capsys):
    write(tmp_path, [f"p{k}" for k in range(8)], grey, classes=2)
    assert new(tmp_path, "--small", capsys=capsys)[0] == 0
    (tmp_path / "mine/classes.txt").write_text(text)
    assert main(["doctor", str(tmp_path / "mine")]) == 1
    assert "REFUSE net.classes" in capsys.readouterr().out
