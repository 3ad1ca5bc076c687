"""The fifteen models on disk are the published ones: nets, solvers, schedules, addresses."""

import ast
import runpy
import sys

import pytest
from google.protobuf import text_format
from places import ROOT
from published import MODELS, TOPS, data_params, layers_of, net_names, on_disk, parse

from caffe.proto import caffe_pb2
from fcn import train


@pytest.mark.parametrize("which", [0, 1], ids=["train", "test"])
@pytest.mark.parametrize("model", MODELS)
def test_net_is_the_published_one(model, which):
    net = on_disk(model, net_names(model)[which])
    data = net.layer[0]
    published = MODELS[model].data
    tops = TOPS.get(model, ("data label", None))[0].split()
    assert (data.name, data.type, list(data.top)) == (tops[0], "Python", tops)
    assert (data.python_param.module, data.python_param.layer) == (
        published.module,
        published.layers[which],
    )
    split = published.splits[which]
    assert ast.literal_eval(data.python_param.param_str) == data_params(model, split)
    del net.layer[0]
    wanted = parse(layers_of(model))
    assert [found.name for found in net.layer] == [want.name for want in wanted.layer]
    for found, want in zip(net.layer, wanted.layer):
        assert found == want
    assert net == wanted  # nothing besides layers


def test_voc_fcn8s_deploy_is_the_published_one():
    wanted = parse(layers_of("voc-fcn8s"))
    kept = [want for want in wanted.layer if want.type not in ("Dropout", "SoftmaxWithLoss")]
    net = on_disk("voc-fcn8s", "deploy")
    shape = "input_param { shape { dim: [1, 3, 500, 500] } }"
    source = parse(f'layer {{ name: "input" type: "Input" top: "data" {shape} }}')
    assert net.layer[0] == source.layer[0]
    assert list(net.layer[1:]) == kept


@pytest.mark.parametrize("model", [*MODELS, "ilsvrc-nets"])
def test_prototxts_are_what_net_py_writes(model, tmp_path, monkeypatch, capsys):
    script = tmp_path / "net.py"
    script.write_text((ROOT / model / "net.py").read_text())
    committed = {path.name for path in (ROOT / model).glob("*.prototxt")} - {"solver.prototxt"}
    folders = [""] + ["sample"] * (ROOT / model / "sample").is_dir()
    for folder in folders:
        (tmp_path / folder).mkdir(exist_ok=True)
        monkeypatch.setattr(sys, "argv", ["net.py"] + ["--sample"] * bool(folder))
        runpy.run_path(str(script), run_name="__main__")
        written = {path.name for path in (tmp_path / folder).glob("*.prototxt")}
        found = {path.name for path in (ROOT / model / folder).glob("*.prototxt")}
        assert written == found - {"solver.prototxt"} and written
        for name in written:
            assert (tmp_path / folder / name).read_text() == (
                ROOT / model / folder / name
            ).read_text()
    assert committed  # fmt: skip


@pytest.mark.parametrize("model", MODELS)
def test_solver_is_the_published_one(model):
    facts, data = MODELS[model], MODELS[model].data
    text = (ROOT / model / "solver.prototxt").read_text()
    train, test = data.names
    wanted = f"""train_net: "{train}.prototxt" test_net: "{test}.prototxt"
        test_iter: {data.test_iter} test_interval: 999999999 test_initialization: false
        display: 20 average_loss: 20 lr_policy: "fixed" base_lr: {facts.base_lr}
        momentum: {facts.momentum} iter_size: {facts.iter_size} max_iter: {data.max_iter}
        weight_decay: 0.0005 snapshot: {data.snapshot} snapshot_prefix: "snapshot/train" """
    solver, want = caffe_pb2.SolverParameter(), caffe_pb2.SolverParameter()
    assert text_format.Parse(text, solver) == text_format.Parse(wanted, want)


@pytest.mark.parametrize("model", MODELS)
def test_solve_is_the_published_schedule(model, monkeypatch):
    data = MODELS[model].data
    calls = []
    monkeypatch.setattr(train, "solve", lambda script, recipe: calls.append((script, recipe)))
    script = str(ROOT / model / "solve.py")
    namespace = runpy.run_path(script, run_name="__main__")
    recipe = namespace["RECIPE"]
    assert calls == [(script, recipe)]
    assert (recipe.rounds, recipe.steps) == (data.rounds, data.steps)
    assert recipe.start == MODELS[model].start
    both, one = {"score_sem": "sem", "score_geo": "geo"}, {"score": "label"}
    assert recipe.scored == (both if model.startswith("siftflow") else one)
    fused = model in ("nyud-fcn32s-color-d", "nyud-fcn32s-color-hha")
    assert (recipe.initialize is not None) == fused


@pytest.mark.parametrize("model", MODELS)
def test_caffemodel_url(model):
    path, name = ROOT / model / "caffemodel-url", MODELS[model].published
    if not name:
        assert not path.exists()
    else:
        assert path.read_text() == f"http://dl.caffe.berkeleyvision.org/{name}.caffemodel\n"


# ---- the form for the embedded task


@pytest.mark.parametrize("model", ["voc-fcn32s", "voc-fcn16s", "voc-fcn8s"])
def test_sample_form_is_the_model_at_an_eighth(model):
    net, full = on_disk(f"{model}/sample", "train"), on_disk(model, "train")
    assert [found.name for found in net.layer] == [found.name for found in full.layer]
    for found, whole in list(zip(net.layer, full.layer))[1:]:
        assert (found.type, found.bottom, found.top) == (whole.type, whole.bottom, whole.top)
        small, large = found.convolution_param, whole.convolution_param
        if found.type in ("Convolution", "Deconvolution"):
            scored = "score" in found.name
            assert small.num_output == (11 if scored else large.num_output // 8)
            assert small.kernel_size == ([4] if found.name == "fc6" else large.kernel_size)
            assert small.stride == large.stride
            assert small.pad == ([52] if found.name == "conv1_1" else large.pad)
    # the smaller pad makes up for the smaller fc6: the picture lies where it did in the score
    offsets = {layer.name: list(layer.crop_param.offset) for layer in net.layer}
    assert offsets["score"] == list(full.layer[-2].crop_param.offset)
    assert offsets.get("score_pool4c", [2]) == [2]
    assert offsets.get("score_pool3c", [3]) == [3]
    assert net.layer[-1].loss_param.normalize
