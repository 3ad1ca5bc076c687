"""The classification nets FCN starts from, with inner products, and their convolutional forms.

VGG-16 (Simonyan and Zisserman 2015, table 1, D) and CaffeNet (Krizhevsky et al. 2012, with pooling
before normalization) under the names their published weights go by; --sample: the small VGG-16 of
the embedded task, with the nets it is trained and tested with.
"""

import argparse
from pathlib import Path

import caffe
from caffe import layers as L
from fcn.datasets.record import python_data
from fcn.nets import (
    LEARNED,
    caffenet,
    caffenet_stages,
    dropout,
    text_of,
    vgg16,
    vgg16_stages,
)
from fcn.tasks import SAMPLE

FOLDER = Path(__file__).resolve().parent
CLASSES = 1000


def classifier(n, pooled, width=4096, classes=CLASSES, drop=0.5, **more):
    """fc6, fc7 and fc8 of a classification net, inner products all."""
    x = pooled
    for fc in "67":
        n[f"fc{fc}"] = L.InnerProduct(x, num_output=width, **more)
        n[f"relu{fc}"] = L.ReLU(n[f"fc{fc}"], in_place=True)
        x = n[f"drop{fc}"] = dropout(n[f"relu{fc}"], drop)
    n.fc8 = L.InnerProduct(x, num_output=classes, **more)


def picture(size):
    """One square BGR picture."""
    return L.Input(shape=dict(dim=[1, 3, size, size]))


def vgg16_classifier(size=224, classes=CLASSES, narrow=1):
    n = caffe.NetSpec()
    n.data = picture(size)
    classifier(n, vgg16_stages(n, n.data, narrow=narrow), 4096 // narrow, classes)
    n.prob = L.Softmax(n.fc8)
    return n.to_proto()


def vgg16_fcn(**body):
    n = caffe.NetSpec()
    n.data = picture(500)
    vgg16(n, n.data, **body)
    return n.to_proto()


def alexnet_classifier():
    n = caffe.NetSpec()
    n.data = picture(227)
    classifier(n, caffenet_stages(n, n.data))
    n.prob = L.Softmax(n.fc8)
    return n.to_proto()


def alexnet_fcn():
    n = caffe.NetSpec()
    n.data = picture(500)
    caffenet(n, n.data)
    return n.to_proto()


def sample_classifier(role):
    """The embedded task's classifier, fed with crops: digits, or none."""
    n = caffe.NetSpec()
    params = dict(role=role, seed=1337, batch=32, mean=SAMPLE.mean)
    if role == "train":
        params["plain"] = 50  # batches on plain backgrounds first
    python_data(n, ["data", "label"], "fcn.datasets.sample.layers", "DigitCropDataLayer", **params)
    narrow, rate, drop = (SAMPLE.body[key] for key in ("narrow", "first_rate", "drop"))
    filler = dict(weight_filler=dict(type="msra"))
    pooled = vgg16_stages(n, n.data, narrow=narrow, first_rate=rate, **filler)
    classifier(n, pooled, 4096 // narrow, SAMPLE.classes, drop, param=LEARNED, **filler)
    n.loss = L.SoftmaxWithLoss(n.fc8, n.label)
    n.accuracy = L.Accuracy(n.fc8, n.label)
    return n.to_proto()


def prototxts(sample=False):
    """The text of every prototxt of this folder, or of its sample/, by its file's stem."""
    if sample:
        nets = {
            "train": sample_classifier("train"),
            "val": sample_classifier("val"),
            "vgg16": vgg16_classifier(96, SAMPLE.classes, SAMPLE.body["narrow"]),
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
