"""The wheel: what is in it, and that it is enough to segment a picture in an empty folder."""

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import numpy as np
import pytest
from memory_nets import fill
from PIL import Image
from places import ROOT

import caffe

TOP_LEVEL = {
    "caffe",
    "fcn",
    "surgery.py",
    "score.py",
    "vis.py",
    "voc_layers.py",
    "nyud_layers.py",
    "siftflow_layers.py",
    "pascalcontext_layers.py",
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The path of a freshly built wheel; built from a copy, so that the checkout stays clean."""
    folder = tmp_path_factory.mktemp("wheel")
    tracked = subprocess.run(
        ["git", "ls-files", "-z", "--", ":!tests", ":!benchmarks", ":!examples", ":!docs"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")
    source = folder / "source"
    for name in filter(None, tracked):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check"]
    options = ["--no-deps", "--no-build-isolation", "--no-index", "-w", str(folder), str(source)]
    subprocess.run([*build, *options], check=True)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The bin folder of a fresh environment with the wheel; its dependencies are this one's."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    site = Path(
        subprocess.run(
            [python, "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
    )
    (site / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run(
        [*command, "--no-deps", "--no-index", "--ignore-installed", str(wheel)], check=True
    )
    return folder / "bin"


def run(installed, folder, *command):
    """A command of the environment, run in a folder, without this checkout on the path."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    script = installed / command[0]
    return subprocess.run(
        [script, *command[1:]], cwd=folder, env=environment, capture_output=True, text=True
    )


def test_what_is_in_the_wheel(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == TOP_LEVEL
    published = {name.split("/")[2] for name in names if name.startswith("fcn/published/")}
    folders = {path.parent.name for path in ROOT.glob("*-*/net.py")}
    assert published == folders | {"data"} and len(folders) == 16
    assert "fcn/published/voc-fcn8s/deploy.prototxt" in names
    assert "caffe/kernels/winograd.c" in names and "caffe/proto/caffe.proto" in names
    assert not any(name.endswith((".caffemodel", ".solverstate")) for name in names)


def test_a_picture_is_segmented_in_an_empty_folder(installed, tmp_path):
    prototxt = ROOT / "voc-fcn8s/sample/deploy.prototxt"
    net = caffe.Net(str(prototxt), caffe.TEST)
    fill(net)
    weights = tmp_path / "weights.caffemodel"
    net.save(str(weights))
    pixels = np.random.default_rng(1).integers(0, 255, (100, 130, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    folder = tmp_path / "empty"
    folder.mkdir()
    options = ["--model", "voc-fcn8s", "--sample", "--weights", str(weights), "--cpu"]
    done = run(installed, folder, "fcn", "infer", str(tmp_path / "photo.png"), *options)
    assert done.returncode == 0, done.stderr
    with Image.open(folder / "photo_classes.png") as image:
        assert image.size == (130, 100)
    assert (folder / "photo_overlay.png").is_file()


@pytest.mark.parametrize(
    "command, says",
    [
        (["fcn", "--help"], "segment pictures"),
        (["fcn", "explain", "voc-fcn8s"], "offset 31, as in the file"),
        (["caffe"], "train"),
    ],
)
def test_commands_of_the_wheel(installed, tmp_path, command, says):
    done = run(installed, tmp_path, *command)
    assert says in done.stdout + done.stderr


def test_training_leaves_the_installation_alone(installed, tmp_path):
    """The model folder is copied to the working directory; here nothing more happens: no weights."""
    done = run(installed, tmp_path, "fcn", "train", "voc-fcn16s", "--cpu", "--steps", "1")
    assert done.returncode == 2 and "no weights for voc-fcn32s" in done.stderr
    assert (tmp_path / "voc-fcn16s" / "solver.prototxt").is_file()
