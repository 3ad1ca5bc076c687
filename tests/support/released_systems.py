"""Released nets of the systems, written down apart from the code that builds them: as prototxt text."""

from google.protobuf import text_format

from caffe.proto import caffe_pb2

RATES = "param { lr_mult: 1 decay_mult: 1 } param { lr_mult: 2 decay_mult: 0 }"
CONTEXT_RATES = "param { lr_mult: 1 decay_mult: 1 } param { lr_mult: 2 decay_mult: 1 }"
VGG16 = (
    "1_1 64 1_2 64 p 2_1 128 2_2 128 p 3_1 256 3_2 256 3_3 256 p "
    "4_1 512 4_2 512 4_3 512 p 5_1 512 5_2 512 5_3 512 p"
)
# (name, num_output, dilation) of a context module's 3x3 convolutions
LARGE = [
    *(("ct_conv1_1", 42, 1), ("ct_conv1_2", 42, 1), ("ct_conv2_1", 84, 2), ("ct_conv3_1", 168, 4)),
    *(("ct_conv4_1", 336, 8), ("ct_conv5_1", 672, 16), ("ct_fc1", 672, 1)),
]


def convolution(name, bottom, output, settings, rates=""):
    return (
        f'layer {{ name: "{name}" type: "Convolution" bottom: "{bottom}" top: "{name}" {rates} '
        f"convolution_param {{ num_output: {output} {settings} }} }} "
    )


def in_place(name, kind, blob, more=""):
    return f'layer {{ name: "{name}" type: "{kind}" bottom: "{blob}" top: "{blob}" {more} }} '


def pooling(name, bottom, settings):
    return (
        f'layer {{ name: "{name}" type: "Pooling" bottom: "{bottom}" top: "{name}" '
        f"pooling_param {{ {settings} }} }} "
    )


DROP = "dropout_param { dropout_ratio: 0.5 }"


def dilation(classes, height, width, final, rates, module):
    """The front end, and the context module's layers."""
    text = f'input: "data" input_shape {{ dim: 1 dim: 3 dim: {height} dim: {width} }} '
    x, words = "data", VGG16.split()
    stage = 1
    while words:
        word = words.pop(0)
        if word == "p":
            if stage <= 3:
                text += pooling(f"pool{stage}", x, "pool: MAX kernel_size: 2 stride: 2")
                x = f"pool{stage}"
            stage += 1
            continue
        hole = "dilation: 2" if stage == 5 else ""
        text += convolution(f"conv{word}", x, words.pop(0), f"kernel_size: 3 {hole}", rates)
        text += in_place(f"relu{word}", "ReLU", f"conv{word}")
        x = f"conv{word}"
    for fc, settings in (("6", "kernel_size: 7 dilation: 4"), ("7", "kernel_size: 1")):
        text += convolution(f"fc{fc}", x, 4096, settings, rates)
        text += in_place(f"relu{fc}", "ReLU", f"fc{fc}")
        text += in_place(f"drop{fc}", "Dropout", f"fc{fc}", DROP)
        x = f"fc{fc}"
    return text + convolution(final, x, classes, "kernel_size: 1", rates) + module


def large_module():
    """Of dilation8_pascal_voc: all padding in the first layer, rates in the first two."""
    text, x = "", "fc-final"
    for i, (name, output, dilation) in enumerate(LARGE):
        settings = "kernel_size: 3 " + ("pad: 33", "pad: 0", *[f"dilation: {dilation}"] * 4, "")[i]
        text += convolution(name, x, output, settings, CONTEXT_RATES if i < 2 else "")
        text += in_place("ct_fc1_relu" if name == "ct_fc1" else f"ct_relu{name[-3:]}", "ReLU", name)
        x = name
    return text + convolution("ct_final", x, 21, "kernel_size: 1") + softmax("ct_final")


def basic_module(classes, dilations, zoomed=False):
    """Of the other three: as many channels as classes, each layer padded by its dilation."""
    text, x = "", "final"
    names = ["1_1", "1_2", *(f"{i}_1" for i in range(2, len(dilations)))]
    for name, dilation in zip(names, dilations):
        hole = f"dilation: {dilation}" if dilation > 1 else ""
        settings = f"pad: {dilation} kernel_size: 3 {hole}"
        text += convolution(f"ctx_conv{name}", x, classes, settings, RATES)
        text += in_place(f"ctx_relu{name}", "ReLU", f"ctx_conv{name}")
        x = f"ctx_conv{name}"
    text += convolution("ctx_fc1", x, classes, "pad: 1 kernel_size: 3", RATES)
    text += in_place("ctx_fc1_relu", "ReLU", "ctx_fc1")
    text += convolution("ctx_final", "ctx_fc1", classes, "kernel_size: 1", RATES)
    if not zoomed:
        return text + softmax("ctx_final")
    return (
        text
        + 'layer { name: "ctx_upsample" type: "Deconvolution" bottom: "ctx_final" '
        + 'top: "ctx_upsample" param { lr_mult: 0 decay_mult: 0 } '
        + f"convolution_param {{ num_output: {classes} bias_term: false pad: 4 kernel_size: 16 "
        + f"group: {classes} stride: 8 }} }} "
        + softmax("ctx_upsample")
    )


def softmax(bottom):
    return f'layer {{ name: "prob" type: "Softmax" bottom: "{bottom}" top: "prob" }}'


def parse(text):
    return text_format.Parse(text, caffe_pb2.NetParameter())


DILATION = {
    "dilation/dilation8_pascal_voc": (21, 900, 900, "fc-final", "", large_module()),
    "dilation-basic/dilation8_camvid": (
        *(11, 900, 1100, "final", RATES),
        basic_module(11, [1, 1, 2, 4, 8, 16]),
    ),
    "dilation-basic/dilation7_kitti": (
        *(11, 852, 1640, "final", RATES),
        basic_module(11, [1, 1, 2, 4, 8]),
    ),
    "dilation-basic/dilation10_cityscapes": (
        *(19, 1396, 1396, "final", RATES),
        basic_module(19, [1, 1, 2, 4, 8, 16, 32, 64], zoomed=True),
    ),
}


def deeplab_v2_layers():
    """The layers between data and loss of DeepLab v2's VGG-16 with ASPP-L, in training."""
    text, x, words, stage = "", "data", VGG16.split(), 1
    while words:
        word = words.pop(0)
        if word == "p":
            stride = "stride: 2" if stage <= 3 else "stride: 1"
            text += pooling(f"pool{stage}", x, f"pool: MAX kernel_size: 3 {stride} pad: 1")
            x, stage = f"pool{stage}", stage + 1
            continue
        hole = "pad: 2 dilation: 2" if stage == 5 else "pad: 1"
        text += convolution(f"conv{word}", x, words.pop(0), f"kernel_size: 3 {hole}", RATES)
        text += in_place(f"relu{word}", "ReLU", f"conv{word}")
        x = f"conv{word}"
    for i, hole in enumerate((6, 12, 18, 24), 1):
        x = "pool5"
        for fc, shape in (
            ("6", f"kernel_size: 3 pad: {hole} dilation: {hole}"),
            ("7", "kernel_size: 1"),
        ):
            name = f"fc{fc}_{i}"
            text += convolution(name, x, 1024, shape, RATES)
            text += in_place(f"relu{fc}_{i}", "ReLU", name)
            text += in_place(f"drop{fc}_{i}", "Dropout", name, DROP)
            x = name
        filler = (
            'weight_filler { type: "gaussian" std: 0.01 } bias_filler { type: "constant" value: 0 }'
        )
        rates = "param { lr_mult: 10 decay_mult: 1 } param { lr_mult: 20 decay_mult: 0 }"
        text += convolution(f"fc8_voc12_{i}", x, 21, f"kernel_size: 1 {filler}", rates)
    bottoms = " ".join(f'bottom: "fc8_voc12_{i}"' for i in range(1, 5))
    return (
        text
        + f'layer {{ name: "fc8_voc12" type: "Eltwise" {bottoms} top: "fc8_voc12" '
        + "eltwise_param { operation: SUM } } "
        + 'layer { name: "label_shrink" type: "Interp" bottom: "label" top: "label_shrink" '
        + "interp_param { shrink_factor: 8 pad_beg: 0 pad_end: 0 } }"
    )
