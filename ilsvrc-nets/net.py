"""The classification nets FCN starts from, with inner products, and their convolutional forms.

VGG-16 (Simonyan and Zisserman 2015, table 1, D) and CaffeNet (Krizhevsky et al. 2012, with pooling
before normalization) under the names their published weights go by; --sample: the small VGG-16 of
the embedded task, with the nets it is trained and tested with.
"""

import argparse
from pathlib import Path
from typing import Any

import caffe
from caffe import layers as L
from fcn.datasets.dataset import SEED, add_python_layer
from fcn.nets import LEARNED, Top, caffenet, caffenet_stages, dropout, vgg16, vgg16_stages
from fcn.prototxts import NetParameter, text_of
from fcn.tasks import SAMPLE

FOLDER = Path(__file__).resolve().parent
CLASSES = 1000
# The embedded task's crops: pooling makes 4 x 4 of 112 pixels, which is what its fc6 covers.
SAMPLE_SIDE, SAMPLE_BATCH = 112, 24


def classifier(
    n: caffe.NetSpec,
    pooled: Top,
    width: int = 4096,
    classes: int = CLASSES,
    drop: float = 0.5,
    **more: Any,
) -> None:
    """fc6, fc7 and fc8 of a classification net: inner products."""
    x = pooled
    for fc in "67":
        n[f"fc{fc}"] = L.InnerProduct(x, num_output=width, **more)
        n[f"relu{fc}"] = L.ReLU(n[f"fc{fc}"], in_place=True)
        x = n[f"drop{fc}"] = dropout(n[f"relu{fc}"], drop)
    n.fc8 = L.InnerProduct(x, num_output=classes, **more)


def picture(size: int) -> Top:
    """An input for one square BGR picture."""
    return L.Input(shape=dict(dim=[1, 3, size, size]))


def vgg16_classifier(size: int = 224, classes: int = CLASSES, narrow: int = 1) -> NetParameter:
    """VGG-16 with inner products."""
    n = caffe.NetSpec()
    n.data = picture(size)
    classifier(n, vgg16_stages(n, n.data, narrow=narrow), 4096 // narrow, classes)
    n.prob = L.Softmax(n.fc8)
    return n.to_proto()


def vgg16_fcn(**body: Any) -> NetParameter:
    """VGG-16's fully convolutional form; `body` as `fcn.nets.vgg16` takes it."""
    n = caffe.NetSpec()
    n.data = picture(500)
    vgg16(n, n.data, **body)
    return n.to_proto()


def alexnet_classifier() -> NetParameter:
    """CaffeNet with inner products."""
    n = caffe.NetSpec()
    n.data = picture(227)
    classifier(n, caffenet_stages(n, n.data))
    n.prob = L.Softmax(n.fc8)
    return n.to_proto()


def alexnet_fcn() -> NetParameter:
    """CaffeNet's fully convolutional form."""
    n = caffe.NetSpec()
    n.data = picture(500)
    caffenet(n, n.data)
    return n.to_proto()


def sample_classifier(role: str) -> NetParameter:
    """The embedded task's classifier on crops that show a digit or none; `role` is of scenes.ROLES."""
    n = caffe.NetSpec()
    params = dict(role=role, seed=SEED, batch=SAMPLE_BATCH, side=SAMPLE_SIDE, mean=SAMPLE.mean)
    if role == "train":
        params["plain"] = 50  # batches on plain backgrounds first
    module = "fcn.datasets.sample.layers"
    add_python_layer(n, ["data", "label"], module, "DigitCropDataLayer", params)
    narrow, rate, drop = (SAMPLE.body[key] for key in ("narrow", "first_rate", "drop"))
    filler = dict(weight_filler=dict(type="msra"))
    pooled = vgg16_stages(n, n.data, narrow=narrow, first_rate=rate, **filler)
    classifier(n, pooled, 4096 // narrow, SAMPLE.classes, drop, param=LEARNED, **filler)
    n.loss = L.SoftmaxWithLoss(n.fc8, n.label)
    n.accuracy = L.Accuracy(n.fc8, n.label)
    return n.to_proto()


def prototxts(sample: bool = False) -> dict[str, str]:
    """File stem -> text of every prototxt of this folder, or of its sample/."""
    if sample:
        nets = {
            "train": sample_classifier("train"),
            "val": sample_classifier("val"),
            "vgg16": vgg16_classifier(SAMPLE_SIDE, SAMPLE.classes, SAMPLE.body["narrow"]),
            "vgg16-fcn": vgg16_fcn(**SAMPLE.body),
        }
    else:
        nets = {
            "vgg16": vgg16_classifier(),
            "vgg16-fcn": vgg16_fcn(),
            "alexnet": alexnet_classifier(),
            "alexnet-fcn": alexnet_fcn(),
        }
    return {name: text_of(net) for name, net in nets.items()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="write these nets' prototxts")
    parser.add_argument("--sample", action="store_true", help="those of the embedded task")
    sample = parser.parse_args().sample
    for name, text in prototxts(sample).items():
        path = FOLDER / ("sample" if sample else "") / f"{name}.prototxt"
        path.write_text(text)
        print(f"wrote {path}")
