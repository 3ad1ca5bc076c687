"""The fifteen models as published, written down apart from the code that builds them.

`layers_of` spells out every layer of every published net as prototxt text, from the tables below and
nothing else.
"""

from typing import NamedTuple

from google.protobuf import text_format
from places import ROOT

from caffe.proto import caffe_pb2


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
