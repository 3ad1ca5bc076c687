"""The one builder behind every net.py: bodies, decoders, loss, the files written, deploy nets.

Blob names are the interface: weights are carried from net to net by them, so these are the
published names. Padding the first convolution by 100 keeps every later blob larger than its
kernel however small the picture is; `crop` computes where the picture then lies in the score
(`fcn explain voc-fcn8s` shows it layer by layer).
"""

import argparse
import sys
import tempfile
from pathlib import Path

from google.protobuf import text_format

import caffe
from caffe import layers as L
from caffe import params as P
from caffe.coord_map import crop
from caffe.proto import caffe_pb2

LEARNED = [dict(lr_mult=1, decay_mult=1), dict(lr_mult=2, decay_mult=0)]  # weights, bias
FIXED = [dict(lr_mult=0)]
VGG16 = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))  # convolutions, channels of each stage
CHANNELS = {"depth": 1}  # of the pictures a net reads; all others have 3


def vgg16(n, data, suffix="", first="conv1_1", narrow=1, fc6=7, drop=0.5, **more):
    """VGG-16 through drop7, fully convolutional: 4096 channels at stride 32.

    `first` names the first convolution; `narrow` divides all widths, `fc6` is that layer's kernel
    and `drop` the share of its outputs that Dropout silences, for the embedded task.
    """
    pad = 100 - 16 * (7 - fc6)  # what fc6 takes off at stride 32: the picture stays at 19, 27, 31
    x = vgg16_stages(n, data, suffix, first, pad=pad, narrow=narrow, **more)
    for fc, kernel in (("6", fc6), ("7", 1)):
        conv = dict(num_output=4096 // narrow, kernel_size=kernel, stride=1, pad=0, param=LEARNED)
        x = conv_relu(n, f"fc{fc}{suffix}", f"relu{fc}{suffix}", x, **conv)
        x = n[f"drop{fc}{suffix}"] = dropout(x, drop)
    return x


def vgg16_stages(n, data, suffix="", first="conv1_1", pad=1, narrow=1, first_rate=1, **more):
    """VGG-16 through pool5; `pad` and `first_rate`, its weights' rate, are the first convolution's.

    `more` goes to every convolution (fillers).
    """
    x = data
    for stage, (depth, channels) in enumerate(VGG16, 1):
        for i in range(1, depth + 1):
            at = f"{stage}_{i}"
            conv = dict(num_output=channels // narrow, kernel_size=3, stride=1, pad=1, **more)
            conv["param"] = LEARNED
            name = f"conv{at}"
            if at == "1_1":
                name, conv["pad"] = first, pad
                conv["param"] = [dict(LEARNED[0], lr_mult=first_rate), LEARNED[1]]
            x = conv_relu(n, name + suffix, f"relu{at}{suffix}", x, **conv)
        x = n[f"pool{stage}{suffix}"] = max_pool(x, 2, 2)
    return x


def caffenet(n, data):
    """CaffeNet, Caffe's AlexNet, through drop7, fully convolutional: 4096 channels at stride 32."""
    x = caffenet_stages(n, data, pad=100)
    for fc, kernel in (("6", 6), ("7", 1)):
        conv = dict(num_output=4096, kernel_size=kernel, stride=1, pad=0, group=1)
        x = conv_relu(n, f"fc{fc}", f"relu{fc}", x, **conv)
        x = n[f"drop{fc}"] = dropout(x)
    return x


def caffenet_stages(n, data, pad=0):
    """CaffeNet through pool5; `pad` is the first convolution's. It states no learning rates."""
    x = data
    for at, channels, kernel, stride, padding, group in (
        ("1", 96, 11, 4, pad, 1),
        ("2", 256, 5, 1, 2, 2),
        ("3", 384, 3, 1, 1, 1),
        ("4", 384, 3, 1, 1, 2),
        ("5", 256, 3, 1, 1, 2),
    ):
        conv = dict(num_output=channels, kernel_size=kernel, stride=stride, pad=padding)
        x = conv_relu(n, f"conv{at}", f"relu{at}", x, group=group, **conv)
        if at in "125":
            x = n[f"pool{at}"] = max_pool(x, 3, 2)
        if at in "12":
            x = n[f"norm{at}"] = L.LRN(x, local_size=5, alpha=1e-4, beta=0.75)
    return x


def conv_relu(n, conv, relu, bottom, **settings):
    """A convolution and its in-place ReLU, under the two names given."""
    n[conv] = L.Convolution(bottom, **settings)
    n[relu] = L.ReLU(n[conv], in_place=True)
    return n[relu]


def max_pool(bottom, kernel, stride):
    return L.Pooling(bottom, pool=P.Pooling.MAX, kernel_size=kernel, stride=stride)


def dropout(bottom, ratio=0.5):
    return L.Dropout(bottom, dropout_ratio=ratio, in_place=True)


def decoder(n, classes, skips=(), task="", scales=None, kernel=None):
    """Score drop7, fuse it with the scores of each skip at twice the resolution, crop to data.

    `task` ("sem", "geo") goes into every name; `scales` maps a skip to the constant it is
    multiplied by first; `kernel` is the last upsampling's, twice the stride if not given.
    """
    end = f"_{task}" if task else ""
    x = n["score_fr" + end] = score(n.drop7, classes)
    stride, name = 32, "upscore2"
    for skip in skips:
        x = n[name + end] = upscore(x, classes, 2)
        side = n[skip]
        if scales:
            filler = dict(type="constant", value=scales[skip])
            side = n[f"scale_{skip}"] = L.Scale(side, filler=filler, param=FIXED)
        side = n[f"score_{skip}{end}"] = score(side, classes)
        side = n[f"score_{skip}{end}c"] = crop(side, x)
        x = n[f"fuse_{skip}{end}"] = L.Eltwise(x, side, operation=P.Eltwise.SUM)
        stride, name = stride // 2, f"upscore_{skip}"
    name = f"upscore{stride}" if skips else "upscore"
    x = n[name + end] = upscore(x, classes, stride, kernel)
    n["score" + end] = crop(x, n.data)


def score(bottom, classes):
    """One score a class: a 1x1 convolution. It starts from zero, so a new skip changes nothing."""
    return L.Convolution(bottom, num_output=classes, kernel_size=1, pad=0, param=LEARNED)


def upscore(bottom, classes, stride, kernel=None):
    """Upsampling, never learned: `surgery.interp` fills it with bilinear interpolation."""
    return L.Deconvolution(
        bottom,
        convolution_param=dict(
            num_output=classes, kernel_size=kernel or 2 * stride, stride=stride, bias_term=False
        ),
        param=FIXED,
    )


def seg_loss(score, label, normalize=False):
    """Softmax loss, summed over the pixels unless normalized; 255 marks those without a label."""
    return L.SoftmaxWithLoss(score, label, loss_param=dict(ignore_label=255, normalize=normalize))


def deploy(net, height=500, width=500):
    """The net for pictures alone, derived from a train, val or test net (NetParameters both).

    Layers that read no blob, so the data layers, become one Input layer; losses, accuracies and
    Dropout, which does nothing when testing, go.
    """
    alone = caffe_pb2.NetParameter()
    sources = [top for layer in net.layer if not layer.bottom for top in layer.top]
    alias = {}  # what a Dropout that is not in place copied
    kept = []
    for layer in net.layer:
        if layer.type == "Dropout":
            alias[layer.top[0]] = alias.get(layer.bottom[0], layer.bottom[0])
        elif layer.bottom and not layer.type.endswith("Loss") and layer.type != "Accuracy":
            kept.append(caffe_pb2.LayerParameter.FromString(layer.SerializeToString()))
            kept[-1].bottom[:] = [alias.get(b, b) for b in layer.bottom]
    read = {bottom for layer in kept for bottom in layer.bottom}
    pictures = [top for top in sources if top in read]
    source = alone.layer.add(name="input", type="Input", top=pictures)
    for top in pictures:
        source.input_param.shape.add(dim=[1, CHANNELS.get(top, 3), height, width])
    alone.layer.extend(kept)
    return alone


def scored(net):
    """Which score blob of a NetParameter is judged by which label blob."""
    losses = [layer for layer in net.layer if layer.type == "SoftmaxWithLoss"]
    return {layer.bottom[0]: layer.bottom[1] for layer in losses}


def read_text(path, message):
    """Fill a message from a prototxt; ValueError with file and line where it does not parse."""
    try:
        return text_format.Parse(Path(path).read_text(), message)
    except text_format.ParseError as error:
        raise ValueError(f"{path}:{error}") from None


def read_net(path):
    """The NetParameter in a prototxt."""
    return read_text(path, caffe_pb2.NetParameter())


def load(prototxt, weights):
    """The deploy form of the net in a prototxt, filled from a caffemodel: a caffe.Net to test.

    Layers that are zero then, because the file has none of their name, are told.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "deploy.prototxt"
        path.write_text(text_format.MessageToString(deploy(read_net(prototxt))))
        net = caffe.Net(str(path), str(weights), caffe.TEST)
    zero = [name for name, blobs in net.params.items() if not blobs[0].data.any()]
    if zero:
        print(f"warning: {weights} leaves {', '.join(zero)} at zero", file=sys.stderr)
    return net


def write(script, fcn, task, sample=None, deployed=False):
    """What `python net.py` does: write the model's prototxts beside the script.

    fcn(split, task) makes a net; `sample` is the task that --sample stands for, written to the
    folder of that name; `deployed` adds deploy.prototxt.
    """
    parser = argparse.ArgumentParser(description="write this model's prototxts")
    if sample:
        parser.add_argument("--sample", action="store_true", help="those of the embedded task")
    folder = Path(script).resolve().parent
    if getattr(parser.parse_args(), "sample", False):
        task, folder = sample, folder / "sample"
    for name, text in prototxts(fcn, task, deployed).items():
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.prototxt").write_text(text)
        print(f"wrote {folder / name}.prototxt")


def prototxts(fcn, task, deployed=False):
    """The text of each prototxt of a model, by its file's stem."""
    nets = {name: fcn(split, task) for name, split in task.nets.items()}
    if deployed:
        nets["deploy"] = deploy(nets[list(nets)[-1]])
    return {name: text_of(net) for name, net in nets.items()}


def text_of(net):
    """A NetParameter as the text of a prototxt."""
    return "# Written by net.py: change that, not this.\n" + text_format.MessageToString(net)
