"""ilsvrc-nets/convert.py: a classifier's weights in fully convolutional form."""

import runpy
import shutil
import sys

import numpy as np
import pytest
from places import ROOT

import caffe


@pytest.fixture
def command(project, monkeypatch):
    """Run convert.py on a copy of the embedded task's prototxts; returns its exit code."""
    shutil.copytree(ROOT / "ilsvrc-nets", project / "ilsvrc-nets", ignore=no_weights)
    main = runpy.run_path(str(ROOT / "ilsvrc-nets" / "convert.py"))["main"]

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["convert.py", *map(str, arguments)])
        return main()

    return run


def no_weights(folder, names):
    return [name for name in names if name.endswith(".caffemodel") or name == "snapshot"]


def test_converted_net_computes_what_the_classifier_computed(command, tmp_path, capsys):
    folder = tmp_path / "ilsvrc-nets" / "sample"
    classifier = caffe.Net(str(folder / "vgg16.prototxt"), caffe.TEST)
    rng = np.random.RandomState(0)
    for weights, bias in classifier.params.values():
        scale = (2 / weights.data[0].size) ** 0.5
        weights.data[...] = scale * rng.standard_normal(weights.data.shape)
        bias.data[...] = rng.standard_normal(bias.data.shape)
    classifier.save(str(folder / "vgg16.caffemodel"))
    assert not command("--sample")
    said = capsys.readouterr().out
    assert "coerced fc6[0] (512, 1024) -> fc6[0] (512, 64, 4, 4)" in said
    assert "dropped fc8[0] (11, 512): no layer 'fc8'" in said
    # the same padding as the classifier's makes them one and the same function of a 112x112 picture
    text = (folder / "vgg16-fcn.prototxt").read_text().replace("pad: 52", "pad: 1")
    (folder / "same.prototxt").write_text(text)
    made = str(folder / "vgg16-fcn.caffemodel")
    convolutional = caffe.Net(str(folder / "same.prototxt"), made, caffe.TEST)
    picture = 50 * rng.standard_normal((1, 3, 112, 112))
    convolutional.blobs["data"].reshape(1, 3, 112, 112)
    for net in (classifier, convolutional):
        net.blobs["data"].data[...] = picture
        net.forward()
    wanted = classifier.blobs["fc7"].data.ravel()
    assert np.linalg.norm(wanted) > 1
    assert np.allclose(convolutional.blobs["fc7"].data.ravel(), wanted, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    "arguments, name, hint",
    [
        ([], "VGG_ILSVRC_16_layers.caffemodel", "fcn get ilsvrc-nets/vgg16"),
        (
            ["--model", "alexnet"],
            "bvlc_reference_caffenet.caffemodel",
            "fcn get ilsvrc-nets/alexnet",
        ),
        (["--sample"], "vgg16.caffemodel", "python ilsvrc-nets/solve.py --sample"),
        (["given.caffemodel"], "given.caffemodel", "fcn get ilsvrc-nets/vgg16"),
    ],
)
def test_missing_weights_exit_2(command, capsys, arguments, name, hint):
    assert command(*arguments) == 2
    said = capsys.readouterr().err
    assert name in said and hint in said


def test_damaged_weights_exit_2(command, tmp_path, capsys):
    path = tmp_path / "page.caffemodel"
    path.write_text("<html>404</html>")  # what a download may bring
    assert command("--sample", path) == 2
    said = capsys.readouterr().err
    assert f"convert.py: {path}: damaged or none of Caffe's, at byte 0" in said
