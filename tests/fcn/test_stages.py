"""Weights of one net in another: told by name, refused, never background without a word."""

import numpy as np
import pytest
import tiny_model
from colours import GREEN
from PIL import Image
from places import ROOT

import caffe
from caffe.files.stored import CopyReport
from fcn import prototxts, stages
from fcn.cli import main

MODELS = {  # every published model -> its stage
    **{f"{data}-fcn{n}s": f"fcn{n}s" for data in ("voc", "siftflow", "pascalcontext") for n in (8, 16, 32)},
    "voc-fcn8s-atonce": "fcn8s-atonce",
    "voc-fcn-alexnet": "fcn-alexnet",
    "nyud-fcn32s-color": "fcn32s",
    "nyud-fcn32s-hha": "fcn32s",
    "nyud-fcn32s-color-d": "fcn32s-color-d",
    "nyud-fcn32s-color-hha": "fcn32s-color-hha",
}  # fmt: skip
STAGES = ("voc-fcn32s", "voc-fcn16s", "voc-fcn8s")
LEARNED = ("Convolution", "Deconvolution", "InnerProduct", "Scale")


def names_in(path):
    return [layer.name for layer in prototxts.read_net(path).layer if layer.type in LEARNED]


@pytest.mark.parametrize("model", MODELS)
def test_the_stage_of_every_published_model(model):
    assert len(MODELS) == 15
    for name in ("train", "trainval", "val", "test"):
        path = ROOT / model / f"{name}.prototxt"
        if path.is_file():
            assert stages.stage_of(names_in(path)) == MODELS[model]
    assert MODELS[model] in stages.TITLES


@pytest.mark.parametrize("net", stages.CLASSIFIERS)
def test_the_stage_of_what_they_start_from(net):
    assert stages.stage_of(names_in(ROOT / "ilsvrc-nets" / f"{net}.prototxt")) == net
    assert f"ilsvrc-nets/{net}" in stages.described(net, "voc-fcn8s")


def test_other_nets_have_no_stage():
    assert stages.stage_of(["body", "score_fr", "upscore"]) == ""
    assert stages.stage_of([]) == ""


@pytest.mark.parametrize(
    "stage, model, names, words",
    [
        ("fcn32s", "voc-fcn8s", (), "FCN-32s (--model voc-fcn32s)"),
        ("fcn16s", "pascalcontext-fcn8s", (), "FCN-16s (--model pascalcontext-fcn16s)"),
        ("fcn8s", "voc-fcn8s", ["score_fr_sem"], "FCN-8s (--model siftflow-fcn8s)"),
        ("fcn32s", "nyud-fcn32s-color-hha", (), "--model nyud-fcn32s-color or nyud-fcn32s-hha)"),
    ],
)
def test_a_stage_is_named_as_a_model(stage, model, names, words):
    assert words in stages.described(stage, model, names)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Weights of each stage of the embedded task, random; the classifier's fully convolutional form."""
    folder, rng = tmp_path_factory.mktemp("saved"), np.random.RandomState(0)
    texts = {
        m: prototxts.deploy(prototxts.read_net(ROOT / m / "sample/val.prototxt")) for m in STAGES
    }
    texts["vgg16-fcn"] = prototxts.read_net(ROOT / "ilsvrc-nets/sample/vgg16-fcn.prototxt")
    for name, net in texts.items():
        (folder / "net.prototxt").write_text(prototxts.text_of(net))
        made = caffe.Net(str(folder / "net.prototxt"), caffe.TEST)
        for blobs in made.params.values():
            blobs[0].data[...] = rng.uniform(-0.01, 0.01, blobs[0].data.shape)
        made.save(str(folder / f"{name}.caffemodel"))
    return folder


@pytest.mark.parametrize("given", [*STAGES, "vgg16-fcn"])
@pytest.mark.parametrize("asked", STAGES)
def test_weights_of_another_stage_are_refused(given, asked, saved, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (50, 40)).save("s.png")
    file = saved / f"{given}.caffemodel"
    arguments = ["--cpu", "--sample", "--model", asked, "--weights", str(file)]
    status, said = main(["infer", *arguments, "s.png"]), capsys.readouterr().err
    if given == asked:
        assert status == 0 and not said
        return
    assert status == 2 and not list(tmp_path.glob("s_*"))
    title = stages.TITLES[given.removeprefix("voc-")]
    named = "ilsvrc-nets/vgg16-fcn" if given == "vgg16-fcn" else f"--model {given}"
    assert f"{file}: this file is {title} ({named}), not {asked}; it has no " in said
    missing = {"voc-fcn32s": "upscore", "voc-fcn16s": "upscore16", "voc-fcn8s": "score_pool3"}
    assert missing[asked] in said.rpartition("it has no")[2]


def test_8s_and_8s_trained_at_once_differ_by_scales_alone():
    """Their layers have fillers, so none is zero; still the scores would be wrong."""
    done = CopyReport("w", names_in(ROOT / "voc-fcn8s-atonce/val.prototxt"), [], [], [])
    with pytest.raises(ValueError, match="FCN-8s trained at once"):
        stages.refuse("w", "voc-fcn8s", [], names_in(ROOT / "voc-fcn8s/val.prototxt"), done)


def test_score_refuses_weights_that_lack_layers(model, tmp_path, monkeypatch, capsys):
    tiny_model.write_data(tmp_path / "data")
    other = model / "other.prototxt"
    text = prototxts.text_of(prototxts.deploy(prototxts.read_net(model / "val.prototxt")))
    other.write_text(text.replace('"score_fr"', '"score_other"'))
    net = caffe.Net(str(other), str(model / "voc-tiny.caffemodel"), caffe.TEST)
    net.save(str(tmp_path / "w.caffemodel"))
    arguments = ["--cpu", "--model", str(model), "--weights", str(tmp_path / "w.caffemodel")]
    assert main(["score", *arguments]) == 2
    said = capsys.readouterr().err
    assert "w.caffemodel: it has no score_fr, which voc-tiny has" in said and ">>>" not in said
    monkeypatch.chdir(tmp_path)
    Image.fromarray(np.full((9, 9, 3), GREEN, np.uint8)).save("s.png")
    assert main(["infer", *arguments, "s.png"]) == 2
    assert "it has no score_fr" in capsys.readouterr().err
