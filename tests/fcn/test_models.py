"""The fifteen models against the published record, written down here a second time.

`layers_of` spells out every layer of every published net as prototxt text, from the tables below
and nothing else; the files on disk must be the same messages. A few nets run against what BVLC
Caffe 1.0 computed at full width.
"""

import ast
import math
import runpy
import sys
from typing import NamedTuple

import numpy as np
import pytest
from google.protobuf import text_format
from places import GOLDEN, ROOT

from caffe.proto import caffe_pb2
from fcn import nets, train


class DataSet(NamedTuple):
    module: str
    layers: tuple  # of the train and the test net, as the next two
    names: tuple
    splits: tuple
    classes: int
    test_iter: int
    max_iter: int
    snapshot: int
    rounds: int
    steps: int


class Model(NamedTuple):
    data: DataSet
    stride: int
    base_lr: float
    start: str
    published: str = ""
    momentum: float = 0.99
    iter_size: int = 1


TRAIN_VAL, TRAINVAL_TEST = ("train", "val"), ("trainval", "test")
VOC = DataSet(
    "voc_layers",
    ("SBDDSegDataLayer", "VOCSegDataLayer"),
    TRAIN_VAL,
    ("train", "seg11valid"),
    *(21, 736, 100000, 4000, 25, 4000),
)
NYUD = DataSet(
    "nyud_layers",
    ("NYUDSegDataLayer",) * 2,
    TRAINVAL_TEST,
    TRAINVAL_TEST,
    *(40, 654, 300000, 2000, 50, 2000),
)
SIFT = DataSet(
    "siftflow_layers",
    ("SIFTFlowSegDataLayer",) * 2,
    TRAINVAL_TEST,
    TRAINVAL_TEST,
    *(33, 200, 300000, 2000, 50, 2000),
)
CONTEXT = DataSet(
    "pascalcontext_layers",
    ("PASCALContextSegDataLayer",) * 2,
    TRAIN_VAL,
    TRAIN_VAL,
    *(60, 5105, 300000, 4000, 50, 8000),
)
AT_ONCE = VOC._replace(max_iter=300000, rounds=75)
MEAN = (104.00699, 116.66877, 122.67892)
VGG16, ALEXNET = "ilsvrc-nets/vgg16-fcn", "ilsvrc-nets/alexnet-fcn"
BOTH = ("nyud-fcn32s-color", "nyud-fcn32s-hha")
MODELS = {
    "voc-fcn32s": Model(VOC, 32, 1e-10, VGG16, "fcn32s-heavy-pascal"),
    "voc-fcn16s": Model(VOC, 16, 1e-12, "voc-fcn32s", "fcn16s-heavy-pascal"),
    "voc-fcn8s": Model(VOC, 8, 1e-14, "voc-fcn16s", "fcn8s-heavy-pascal"),
    "voc-fcn8s-atonce": Model(AT_ONCE, 8, 1e-10, VGG16, "fcn8s-atonce-pascal"),
    "voc-fcn-alexnet": Model(VOC, 32, 1e-4, ALEXNET, "fcn-alexnet-pascal", 0.9, 20),
    "nyud-fcn32s-color": Model(NYUD, 32, 1e-10, VGG16, "nyud-fcn32s-color-heavy"),
    "nyud-fcn32s-hha": Model(NYUD, 32, 1e-10, VGG16, "nyud-fcn32s-hha-heavy"),
    "nyud-fcn32s-color-d": Model(NYUD, 32, 1e-10, VGG16),
    "nyud-fcn32s-color-hha": Model(NYUD, 32, 1e-12, BOTH, "nyud-fcn32s-color-hha-heavy"),
    "siftflow-fcn32s": Model(SIFT, 32, 1e-10, VGG16, "siftflow-fcn32s-heavy"),
    "siftflow-fcn16s": Model(SIFT, 16, 1e-12, "siftflow-fcn32s", "siftflow-fcn16s-heavy"),
    "siftflow-fcn8s": Model(SIFT, 8, 1e-12, "siftflow-fcn16s", "siftflow-fcn8s-heavy"),
    "pascalcontext-fcn32s": Model(CONTEXT, 32, 1e-10, VGG16, "pascalcontext-fcn32s-heavy"),
    "pascalcontext-fcn16s": Model(
        CONTEXT, 16, 1e-12, "pascalcontext-fcn32s", "pascalcontext-fcn16s-heavy"
    ),
    "pascalcontext-fcn8s": Model(
        CONTEXT, 8, 1e-14, "pascalcontext-fcn16s", "pascalcontext-fcn8s-heavy"
    ),
}
TOPS = {
    "nyud-fcn32s-color": ("data label", ["color", "label"]),
    "nyud-fcn32s-hha": ("data label", ["hha", "label"]),
    "nyud-fcn32s-color-d": ("color depth label", ["color", "depth", "label"]),
    "nyud-fcn32s-color-hha": ("color hha label", ["color", "hha", "label"]),
    "siftflow-fcn32s": ("data sem geo", None),
    "siftflow-fcn16s": ("data sem geo", None),
    "siftflow-fcn8s": ("data sem geo", None),
}
VGG16_LAYERS = (
    "conv1_1 64, conv1_2 64, pool1, conv2_1 128, conv2_2 128, pool2, "
    "conv3_1 256, conv3_2 256, conv3_3 256, pool3, conv4_1 512, conv4_2 512, conv4_3 512, pool4, "
    "conv5_1 512, conv5_2 512, conv5_3 512, pool5, fc6 4096, fc7 4096"
)
CAFFENET_LAYERS = (  # outputs, kernel, pad, stride, group
    "conv1 96 11 100 4 1, pool1, norm1, conv2 256 5 2 1 2, pool2, norm2, conv3 384 3 1 1 1, "
    "conv4 384 3 1 1 2, conv5 256 3 1 1 2, pool5, fc6 4096 6 0 1 1, fc7 4096 1 0 1 1"
)
LEARNED = "param { lr_mult: 1 decay_mult: 1 } param { lr_mult: 2 decay_mult: 0 }"


# ---- the published nets, layer by layer


def layer(name, kind, bottoms, body="", top=None):
    bottoms = " ".join(f'bottom: "{bottom}"' for bottom in bottoms.split())
    return f'layer {{ name: "{name}" type: "{kind}" {bottoms} top: "{top or name}" {body} }}\n'


def conv(name, bottom, outputs, kernel, pad, params=LEARNED, more="stride: 1"):
    settings = f"num_output: {outputs} kernel_size: {kernel} pad: {pad} {more}"
    return layer(name, "Convolution", bottom, f"{params} convolution_param {{ {settings} }}")


def in_place(name, kind, blob, body=""):
    return layer(name, kind, blob, body, top=blob)


def drop(name, blob):
    return in_place(name, "Dropout", blob, "dropout_param { dropout_ratio: 0.5 }")


def vgg16(data, end="", first="conv1_1"):
    text, below = "", data
    for row in VGG16_LAYERS.split(", "):
        name, *outputs = row.split()
        if not outputs:
            text += layer(
                name + end, "Pooling", below, "pooling_param { pool: MAX kernel_size: 2 stride: 2 }"
            )
            below = name + end
            continue
        kernel, pad = {"fc6": (7, 0), "fc7": (1, 0), "conv1_1": (3, 100)}.get(name, (3, 1))
        relu = name.replace("conv", "relu").replace("fc", "relu") + end
        blob = (first if name == "conv1_1" else name) + end
        text += conv(blob, below, outputs[0], kernel, pad) + in_place(relu, "ReLU", blob)
        if name.startswith("fc"):
            text += drop(name.replace("fc", "drop") + end, blob)
        below = blob
    return text


def caffenet():
    text, below = "", "data"
    for row in CAFFENET_LAYERS.split(", "):
        name, *numbers = row.split()
        if name.startswith("pool"):
            text += layer(
                name, "Pooling", below, "pooling_param { pool: MAX kernel_size: 3 stride: 2 }"
            )
        elif name.startswith("norm"):
            text += layer(name, "LRN", below, "lrn_param { local_size: 5 alpha: 1e-4 beta: 0.75 }")
        else:
            outputs, kernel, pad, stride, group = numbers
            more = f"stride: {stride} group: {group}"
            text += conv(name, below, outputs, kernel, pad, params="", more=more)
            text += in_place("relu" + name[-1], "ReLU", name)
            if name.startswith("fc"):
                text += drop("drop" + name[-1], name)
        below = name
    return text


def score(name, bottom, classes):
    return conv(name, bottom, classes, 1, 0, more="")


def up(name, bottom, classes, kernel, stride):
    settings = f"num_output: {classes} kernel_size: {kernel} stride: {stride} bias_term: false"
    body = f"param {{ lr_mult: 0 }} convolution_param {{ {settings} }}"
    return layer(name, "Deconvolution", bottom, body)


def crop(name, bottoms, offset):
    return layer(name, "Crop", bottoms, f"crop_param {{ axis: 2 offset: {offset} }}")


def scale(name, bottom, value):
    filler = f'filler {{ type: "constant" value: {value} }}'
    return layer(name, "Scale", bottom, f"param {{ lr_mult: 0 }} scale_param {{ {filler} }}")


def decoder(stride, classes, t="", atonce=False):
    """t: the task's end of every name."""
    total = "eltwise_param { operation: SUM }"
    text = score(f"score_fr{t}", "fc7", classes)
    if stride == 32:
        return (
            text
            + up(f"upscore{t}", f"score_fr{t}", classes, 64, 32)
            + crop(f"score{t}", f"upscore{t} data", 19)
        )
    text += up(f"upscore2{t}", f"score_fr{t}", classes, 4, 2)
    text += scale("scale_pool4", "pool4", 0.01) if atonce else ""
    text += score(f"score_pool4{t}", "scale_pool4" if atonce else "pool4", classes)
    text += crop(f"score_pool4{t}c", f"score_pool4{t} upscore2{t}", 5)
    text += layer(f"fuse_pool4{t}", "Eltwise", f"upscore2{t} score_pool4{t}c", total)
    if stride == 16:
        text += up(f"upscore16{t}", f"fuse_pool4{t}", classes, 32, 16)
        return text + crop(f"score{t}", f"upscore16{t} data", 27)
    text += up(f"upscore_pool4{t}", f"fuse_pool4{t}", classes, 4, 2)
    text += scale("scale_pool3", "pool3", 0.0001) if atonce else ""
    text += score(f"score_pool3{t}", "scale_pool3" if atonce else "pool3", classes)
    text += crop(f"score_pool3{t}c", f"score_pool3{t} upscore_pool4{t}", 9)
    text += layer(f"fuse_pool3{t}", "Eltwise", f"upscore_pool4{t} score_pool3{t}c", total)
    text += up(f"upscore8{t}", f"fuse_pool3{t}", classes, 16, 8)
    return text + crop(f"score{t}", f"upscore8{t} data", 31)  # fmt: skip


def loss(name="loss", scores="score", labels="label", normalize="false"):
    body = f"loss_param {{ ignore_label: 255 normalize: {normalize} }}"
    return layer(name, "SoftmaxWithLoss", f"{scores} {labels}", body)


def layers_of(model):
    """Every layer above the data layer, as text."""
    classes, stride = MODELS[model].data.classes, MODELS[model].stride
    if model == "voc-fcn-alexnet":
        head = score("score_fr", "fc7", 21) + up("upscore", "score_fr", 21, 63, 32)
        return caffenet() + head + crop("score", "upscore data", 18) + loss(normalize="true")
    if model == "nyud-fcn32s-color-d":
        concat = layer("data", "Concat", "color depth")
        return concat + vgg16("data", first="conv1_1_bgrd") + decoder(32, 40) + loss()
    if model == "nyud-fcn32s-color-hha":
        text = vgg16("color", "color") + score("score_frcolor", "fc7color", 40)
        text += vgg16("hha", "hha") + score("score_frhha", "fc7hha", 40)
        mean = "eltwise_param { operation: SUM coeff: 0.5 coeff: 0.5 }"
        text += layer("score_fused", "Eltwise", "score_frcolor score_frhha", mean)
        text += up("upscore", "score_fused", 40, 64, 32) + crop("score", "upscore color", 19)
        return text + loss()
    if model.startswith("siftflow"):
        semantic = decoder(stride, 33, "_sem") + loss("loss", "score_sem", "sem")
        geometric = decoder(stride, 3, "_geo") + loss("loss_geo", "score_geo", "geo")
        return vgg16("data") + semantic + geometric
    return vgg16("data") + decoder(stride, classes, atonce=model.endswith("atonce")) + loss()


def data_params(model, split):
    """The dict a data layer is given."""
    if model.startswith("voc"):
        own = (
            {"sbdd_dir": "../data/sbdd/dataset"}
            if split == "train"
            else {"voc_dir": "../data/pascal/VOC2011"}
        )
        own["mean"] = MEAN
    elif model.startswith("nyud"):
        own = {"nyud_dir": "../data/nyud", "tops": TOPS[model][1]}
    elif model.startswith("siftflow"):
        own = {"siftflow_dir": "../data/sift-flow"}
    else:
        own = {"voc_dir": "../data/pascal", "context_dir": "../data/pascal-context"}
    return {"split": split, "seed": 1337, **own}  # fmt: skip


def parse(text):
    return text_format.Parse(text, caffe_pb2.NetParameter())


def on_disk(model, name):
    return parse((ROOT / model / f"{name}.prototxt").read_text())


def net_names(model):
    return MODELS[model].data.names


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


@pytest.mark.parametrize("model", MODELS)
def test_every_model_has_a_deploy_net(model):
    net = nets.deploy(on_disk(model, net_names(model)[1]))
    wanted = [
        found
        for found in parse(layers_of(model)).layer
        if found.type not in ("Dropout", "SoftmaxWithLoss")
    ]
    assert list(net.layer[1:]) == wanted
    channels = {"data": 3, "color": 3, "hha": 3, "depth": 1}
    tops = [top for top in TOPS.get(model, ("data label", None))[0].split() if top in channels]
    assert list(net.layer[0].top) == tops
    dims = [list(shape.dim) for shape in net.layer[0].input_param.shape]
    assert dims == [[1, channels[top], 500, 500] for top in tops]  # fmt: skip


def test_deploy_bypasses_a_dropout_that_is_not_in_place():
    net = nets.deploy(
        parse("""
        layer { name: "d" type: "Python" top: "data" top: "label" }
        layer { name: "drop" type: "Dropout" bottom: "data" top: "dropped" }
        layer { name: "again" type: "Dropout" bottom: "dropped" top: "twice" }
        layer { name: "score" type: "Power" bottom: "twice" top: "score" }
        layer { name: "acc" type: "Accuracy" bottom: "score" bottom: "label" top: "acc" }""")
    )
    found = [(layer.name, list(layer.bottom)) for layer in net.layer]
    assert found == [("input", []), ("score", ["data"])]


# ---- what net.py and solve.py do


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
    monkeypatch.setattr(train, "solve", lambda script, **wishes: calls.append(wishes))
    runpy.run_path(str(ROOT / model / "solve.py"), run_name="__main__")
    (wishes,) = calls
    assert (wishes["rounds"], wishes["steps"]) == (data.rounds, data.steps)
    assert wishes["start"] == MODELS[model].start
    scored = {"score_sem": "sem", "score_geo": "geo"} if model.startswith("siftflow") else None
    assert wishes.get("scored") == scored
    fused = model in ("nyud-fcn32s-color-d", "nyud-fcn32s-color-hha")
    assert ("initialize" in wishes) == fused


@pytest.mark.parametrize("model", MODELS)
def test_caffemodel_url(model):
    path, name = ROOT / model / "caffemodel-url", MODELS[model].published
    if not name:
        assert not path.exists()
    else:
        assert path.read_text() == f"http://dl.caffe.berkeleyvision.org/{name}.caffemodel\n"


SURGEON_NET = """
layer {{ name: "data" type: "Input" top: "data"
  input_param {{ shape {{ dim: [1, {channels}, 4, 4] }} }} }}
layer {{ name: "{first}" type: "Convolution" bottom: "data" top: "c"
  convolution_param {{ num_output: 2 kernel_size: 3
    weight_filler {{ type: "gaussian" }} bias_filler {{ value: {bias} }} }} }}
"""


def test_depth_channel_is_the_mean_of_the_colour_filters(net_of):
    add_depth = runpy.run_path(str(ROOT / "nyud-fcn32s-color-d" / "solve.py"))["add_depth"]
    vgg16 = net_of(SURGEON_NET.format(channels=3, first="conv1_1", bias=5))
    net = net_of(SURGEON_NET.format(channels=4, first="conv1_1_bgrd", bias=0))
    add_depth(net, vgg16)
    old, new = vgg16.params["conv1_1"][0].data, net.params["conv1_1_bgrd"][0].data
    assert np.array_equal(new[:, :3], old)
    assert np.allclose(new[:, 3], (old[:, 0] + old[:, 1] + old[:, 2]) / 3)
    assert net.params["conv1_1_bgrd"][1].data.tolist() == [5, 5]


def test_late_fusion_takes_each_net_under_its_suffix(net_of):
    join = runpy.run_path(str(ROOT / "nyud-fcn32s-color-hha" / "solve.py"))["join"]
    color = net_of(SURGEON_NET.format(channels=3, first="conv1_1", bias=1))
    hha = net_of(SURGEON_NET.format(channels=3, first="conv1_1", bias=2))
    one = SURGEON_NET.format(channels=3, first="conv1_1color", bias=0)
    two = SURGEON_NET.format(channels=3, first="conv1_1hha", bias=0)
    net = net_of(one + two[two.index("layer", 5) :].replace('top: "c"', 'top: "h"'))
    join(net, color, hha)
    for source, name in ((color, "conv1_1color"), (hha, "conv1_1hha")):
        for old, new in zip(source.params["conv1_1"], net.params[name]):
            assert np.array_equal(old.data, new.data)


# ---- the sample's form


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
            assert small.kernel_size == ([3] if found.name == "fc6" else large.kernel_size)
            assert small.stride == large.stride
            assert small.pad == ([36] if found.name == "conv1_1" else large.pad)
    # the smaller pad makes up for the smaller fc6: the picture lies where it did in the score
    offsets = {layer.name: list(layer.crop_param.offset) for layer in net.layer}
    assert offsets["score"] == list(full.layer[-2].crop_param.offset)
    assert offsets.get("score_pool4c", [1]) == offsets.get("score_pool3c", [1]) == [1]
    assert net.layer[-1].loss_param.normalize


# ---- against BVLC Caffe, at full width


def test_golden_files_are_there():
    found = {path.stem for path in (GOLDEN / "fcn").glob("*.npz")}
    assert {"voc-fcn32s", "voc-fcn16s", "voc-fcn8s"} <= found <= set(MODELS)


def sample_of(gradient):
    """What the golden files keep of one: its norm and 16 of its values (their sum cancels)."""
    flat = np.asarray(gradient, np.float64).ravel()
    return np.concatenate([[math.sqrt(flat @ flat)], flat[:: max(1, flat.size // 16)][:16]])


def error(found, wanted):
    wanted = np.asarray(wanted, np.float64)
    return np.linalg.norm(np.asarray(found, np.float64) - wanted) / max(
        np.linalg.norm(wanted), 1e-6
    )


def with_inputs(param, height, width):
    """A val or test net with an Input layer for each top of its data layer; all diffs computed."""
    tops, layers = list(param.layer[0].top), list(param.layer)[1:]
    del param.layer[:]
    for top in tops:
        source = param.layer.add(name=f"in_{top}", type="Input", top=[top])
        channels = {"data": 3, "color": 3, "hha": 3}.get(top, 1)
        source.input_param.shape.add(dim=[1, channels, height, width])
    param.layer.extend(layers)
    param.force_backward = True
    return text_format.MessageToString(param)


@pytest.fixture(scope="module")
def filled():
    """Parameters by the golden files' formula, made once: most are the same in all the nets."""
    return {}


@pytest.mark.parametrize("path", sorted((GOLDEN / "fcn").glob("*.npz")), ids=lambda path: path.stem)
def test_golden(path, filled, net_of):
    stored = np.load(path)
    formula = runpy.run_path(str(path.parent / "formula.py"))
    tag, (height, width) = str(stored["tag"]), map(int, stored["size"])
    net = net_of(with_inputs(on_disk(path.stem, net_names(path.stem)[1]), height, width))
    for name, blobs in net.params.items():
        key = (name, *(tuple(blob.shape) for blob in blobs))
        if key not in filled:
            formula["fill"]({name: [blob.data for blob in blobs]}, tag)
            filled[key] = blobs
        for blob, known in zip(blobs, filled[key]):
            blob.data[...] = known.data
    classes = {"label": "score", "sem": "score_sem", "geo": "score_geo"}
    for top in net.inputs:
        blob = net.blobs[top]
        if top in classes:
            count = net.blobs[classes[top]].data.shape[1]
            blob.data[...] = formula["label"](blob.data.shape, count, tag, top)
        else:
            blob.data[...] = formula["data"](blob.data.shape, tag, top)
    net.forward()
    net.clear_param_diffs()
    net.backward()
    for key in stored.files:
        kind, *where = key.split("/")
        if kind in ("blob", "loss"):
            assert error(net.blobs[where[0]].data, stored[key]) < 1e-5, key
        elif kind == "grad":
            found = sample_of(net.params[where[0]][int(where[1])].diff)
            assert error(found, np.delete(stored[key], 1)) < 1e-3, key
        elif kind == "grad_in":
            assert error(sample_of(net.blobs[where[0]].diff), np.delete(stored[key], 1)) < 1e-3, key
