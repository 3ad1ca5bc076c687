"""The wheel alone, installed into a fresh environment, segments a picture in an empty folder."""

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile

import numpy as np
import pytest
from PIL import Image
from places import ROOT

import caffe
from fcn import prototxts
from fcn.datasets.sample import scenes

TOP_LEVEL = {
    *("caffe", "fcn", "fcn_caffe-1.0.0.dist-info"),
    *("surgery.py", "score.py", "vis.py"),
    *("voc_layers.py", "nyud_layers.py", "siftflow_layers.py", "pascalcontext_layers.py"),
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built apart from what earlier builds may have left in the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    info = ["egg_info", "--egg-base", folder, "build", "--build-base", folder / "build"]
    build = [*info, "bdist_wheel", "--dist-dir", folder, "--bdist-dir", folder / "bdist"]
    command = [sys.executable, "setup.py", "-q", *map(str, build)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def fcn(wheel, tmp_path_factory):
    """A function that runs the installed `fcn` command in an empty folder; returns its output.

    The environment has the wheel and, behind it, the packages of the one that runs the tests.
    """
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder / "venv", symlinks=True)
    python = folder / "venv" / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check"]
    subprocess.run(
        [*pip, "install", "-q", "--ignore-installed", "--no-index", "--no-deps", wheel], check=True
    )
    (site,) = (folder / "venv" / "lib").glob("python*/site-packages")
    (site / "packages.pth").write_text(sysconfig.get_path("purelib"))
    (folder / "empty").mkdir()
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}

    def run(*arguments, status=0):
        done = subprocess.run(
            [python.with_name("fcn"), *map(str, arguments)],
            cwd=folder / "empty",
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == status, done.stderr
        return done.stdout + done.stderr

    run.folder, run.site = folder / "empty", site
    return run


def test_only_the_published_modules_are_at_the_top(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == TOP_LEVEL
    models = {name.split("/")[2] for name in names if name.startswith("fcn/published/")}
    folders = {path.parent.name for path in ROOT.glob("*-*/net.py")}
    assert models == folders | {"data", "systems"} and len(folders) == 16
    assert not [name for name in names if name.endswith((".caffemodel", ".jpg", ".mat"))]


def test_pip_show_says_what_it_is(wheel):
    with zipfile.ZipFile(wheel) as content:
        text = content.read("fcn_caffe-1.0.0.dist-info/METADATA").decode()
    for field in (
        "Summary: Fully",
        "Author: The",
        "Keywords: caffe",
        "Classifier: Topic",
        "Requires-Py",
    ):
        assert f"\n{field}" in text
    assert "# Fully Convolutional Networks" in text  # the README


def test_segments_with_the_shipped_net(fcn, tmp_path):
    """A minute after installation, and nothing else."""
    pixels, labels = scenes.scene(np.random.RandomState(5), "infer")
    Image.fromarray(pixels).save(fcn.folder / "scene.png")
    fcn("infer", "scene.png", "--sample", "--cpu", "--out", tmp_path)
    (fcn.folder / "scene.png").unlink()
    with Image.open(tmp_path / "scene_classes.png") as image:
        found = np.asarray(image)
    assert (found == labels)[labels > 0].mean() > 0.8


def test_segments_a_picture_in_an_empty_folder(fcn, tmp_path):
    deployed = prototxts.deploy(prototxts.read_net(ROOT / "voc-fcn8s/sample/val.prototxt"))
    (tmp_path / "net.prototxt").write_text(prototxts.text_of(deployed))
    net = caffe.Net(str(tmp_path / "net.prototxt"), caffe.TEST)
    for name in ("upscore2", "upscore_pool4", "upscore8"):
        net.params[name][0].data[range(11), range(11)] = 1
    net.params["score_fr"][1].data[0] = 1  # background
    net.save(str(tmp_path / "w.caffemodel"))
    Image.new("RGB", (60, 40)).save(fcn.folder / "photo.png")
    weights = ["--model", "voc-fcn8s", "--sample", "--weights", tmp_path / "w.caffemodel"]
    assert "photo.png (60x40): background" in fcn("infer", "photo.png", *weights, "--cpu")
    made = {str(path.relative_to(fcn.folder)) for path in fcn.folder.rglob("*")}
    results = {f"results/photo_{what}.png" for what in ("classes", "overlay")}
    assert made == {"photo.png", "results"} | results


def test_explains_and_helps(fcn):
    assert "offset 31, as in the file" in fcn("explain", "voc-fcn8s")
    assert "segment pictures" in fcn("--help")


@pytest.mark.slow
def test_says_where_weights_and_data_belong(fcn):
    """What is missing is looked for in the working directory, and nothing is written elsewhere."""
    before = {path for path in fcn.site.rglob("*") if "__pycache__" not in path.parts}
    said = fcn("infer", "photo.png", "--cpu", status=2)
    assert f"{fcn.folder}/voc-fcn8s/fcn8s-heavy-pascal.caffemodel" in said
    said = fcn("data", "check", "voc", status=2)
    assert f"voc is not below {fcn.folder}/data" in said
    assert "trained and scored first: fcn demo" in fcn("demo", "--figure", status=2)
    said = fcn("train", "voc-fcn32s", "--cpu", status=2)
    assert f"{fcn.folder}/ilsvrc-nets/vgg16-fcn.caffemodel" in said
    assert (fcn.folder / "voc-fcn32s/solver.prototxt").is_file()
    after = {path for path in fcn.site.rglob("*") if "__pycache__" not in path.parts}
    assert after == before
