"""`fcn infer` with models that read depth or HHA, alone or beside the colours."""

from pathlib import Path

import numpy as np
import pytest
from colours import indices
from PIL import Image

import caffe
from fcn import Segmenter, any_net, inputs, prototxts
from fcn.cli import script
from fcn.datasets.nyud import NYUDSegDataLayer


def run(*arguments):
    return script("infer", "infer.py", ["--cpu", *map(str, arguments)])


NYUD = """
layer {{ name: "a" type: "Python" {tops} python_param {{ module: "nyud_layers"
  layer: "NYUDSegDataLayer" param_str: "{{'nyud_dir': 'x', 'split': 'test', 'tops': {params}}}" }} }}
layer {{ name: "all" type: "Concat" {bottoms} top: "all" }}
layer {{ name: "score" type: "Convolution" bottom: "all" top: "score"
  convolution_param {{ num_output: 40 kernel_size: 1 }} }}
layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "score" bottom: "label" }}
"""


@pytest.fixture
def nyud_model(tmp_path, monkeypatch):
    """A function from {blob: kind} to a model that gives class 7 where the last channel is over 1.

    With the pictures c.png, d.png (depth) and h.png in the working directory.
    """
    monkeypatch.chdir(tmp_path)
    rng = np.random.RandomState(0)
    for name in "ch":
        Image.fromarray(rng.randint(0, 256, (20, 30, 3)).astype(np.uint8)).save(f"{name}.png")
    depth = np.full((20, 30), 1000, np.uint16)
    depth[5:15, 10:] = 9000  # logarithms less the mean: -0.9 and 1.3
    Image.fromarray(depth).save("d.png")

    def build(kinds):
        folder = tmp_path / "nyud-fcn32s-color-d"
        folder.mkdir(exist_ok=True)
        tops = " ".join(f'top: "{blob}"' for blob in [*kinds, "label"])
        bottoms = " ".join(f'bottom: "{blob}"' for blob in kinds)
        text = NYUD.format(tops=tops, bottoms=bottoms, params=[*kinds.values(), "label"])
        (folder / "test.prototxt").write_text(text)
        deployed = prototxts.deploy(prototxts.read_net(folder / "test.prototxt"))
        (folder / "made.prototxt").write_text(prototxts.text_of(deployed))
        net = caffe.Net(str(folder / "made.prototxt"), caffe.TEST)
        net.params["score"][0].data[7, -1] = 1
        net.params["score"][1].data[0] = 1
        net.save(str(folder / "nyud-fcn32s-color-d.caffemodel"))
        return folder

    return build


@pytest.mark.parametrize("more", [[], ["--max-pixels", 300]])
def test_depth_beside_colours(nyud_model, capsys, more):
    model = nyud_model({"color": "color", "depth": "depth"})
    assert run("--model", model, "c.png", "--depth", "d.png", *more) == 0
    seg = indices("results/c_classes.png")
    assert seg.shape == (20, 30) and (seg[7:13, 13:] == 7).all() and (seg[:3] == 0).all()
    assert "wall" in capsys.readouterr().out


@pytest.mark.parametrize("kinds", [{"data": "hha"}, {"color": "color", "hha": "hha"}])
def test_what_a_net_is_given_is_what_the_data_layer_yields(nyud_model, kinds):
    found = any_net.input_kinds(nyud_model(kinds) / "test.prototxt")
    assert found == kinds
    Path("data/hha").mkdir(parents=True)
    layer = NYUDSegDataLayer.reader(nyud_dir=".", split="test", tops=["color", "hha", "depth"])
    layer.files = {"color": "c.png", "hha": "h.png", "depth": "d.png"}
    for kind in ("color", "hha", "depth"):
        picture = inputs.READ[kind](layer.files[kind])
        given = inputs.PREPARE[kind](picture, NYUDSegDataLayer.mean_bgr)
        np.testing.assert_array_equal(given, layer.load(kind, "any"))


@pytest.mark.parametrize(
    "kinds, arguments, status, said",
    [
        (
            {"color": "color", "hha": "hha"},
            ["c.png"],
            2,
            "--hha (hha=) wants one for each of the 1",
        ),
        ({"color": "color", "depth": "depth"}, ["c.png", "c.png", "--depth", "d.png"], 2, "got 1"),
        ({"data": "hha"}, ["h.png", "--depth", "d.png"], 2, "reads hha, so not --depth"),
        ({"a": "color", "b": "depth"}, ["c.png", "--depth", "h.png"], 1, "3 channels, not one"),
        ({"a": "color", "b": "hha"}, ["c.png", "--hha", "small.png"], 1, "small.png 5x4"),
        ({"a": "color", "b": "hha"}, ["c.png", "--hha", "gone.png"], 1, "gone.png: cannot be read"),
    ],
)
def test_wrong_inputs_are_told(nyud_model, capsys, kinds, arguments, status, said):
    Image.new("RGB", (4, 5)).save("small.png")
    model = nyud_model(kinds)
    assert run("--model", model, *arguments) == status
    assert said in capsys.readouterr().err


def test_folders_belong_together_by_their_files_names(nyud_model, capsys):
    model = nyud_model({"color": "color", "depth": "depth"})
    for folder, file in (("colors", "c.png"), ("depths", "d.png")):
        Path(folder).mkdir()
        for name in ("1.png", "2.png"):
            Path(folder, name).write_bytes(Path(file).read_bytes())
    assert run("--model", model, "colors", "--depth", "depths") == 0
    assert (indices("results/2_classes.png")[7:13, 13:] == 7).all()
    Path("depths/2.png").rename("depths/3.png")
    assert run("--model", model, "colors", "--depth", "depths") == 2
    assert "colors/2.png and --depth depths/3.png are not called alike" in capsys.readouterr().err
    depths = ["depths/1.png", "depths/3.png"]
    assert run("--model", model, "colors/1.png", "colors/2.png", "--depth", *depths) == 0


def test_from_python(nyud_model):
    net = Segmenter(nyud_model({"color": "color", "depth": "depth"}))
    depth = np.asarray(Image.open("d.png"))
    wanted = net("c.png", depth="d.png")
    assert (wanted.classes[7:13, 13:] == 7).all() and wanted.shares.keys() == {"wall", "door"}
    for given in (depth, depth.astype(float), Image.open("d.png")):
        assert np.array_equal(net("c.png", depth=given).classes, wanted.classes)
    both = net(["c.png", "c.png"], depth=["d.png", np.full((20, 30), 9000, np.uint16)], batch=2)
    assert np.array_equal(both[0].classes, wanted.classes) and (both[1].classes == 7).all()
    for wrong in ({}, {"hha": "h.png"}):
        with pytest.raises(ValueError, match="reads color and depth"):
            net("c.png", **wrong)
