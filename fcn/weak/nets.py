"""FCN-32s that learns from weak labels: the published net, with another loss in training."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import caffe
from fcn import models, weights
from fcn.datasets.dataset import SEED, add_python_layer
from fcn.nets import Top, decoder, seg_loss, vgg16
from fcn.prototxts import NetParameter, data_layers, read_net
from fcn.tasks import Task
from fcn.weak import labels

CLASSIFIER = "ilsvrc-nets/vgg16"
SAMPLE_LARGE = 0.04  # the share of a scene above which a digit is large: about half of them are
SBD, SAMPLE_SBD = "sbdd/dataset", "sample/scenes/sbd"  # in data/


def sbd_of(task: Task) -> str:
    """SBD's folder, as prototxts in systems/NAME/ name it."""
    return f"{task.place['data']}/{SAMPLE_SBD if task.body else SBD}"


def net_of(
    split: str, task: Task, loss: Callable[[caffe.NetSpec], Top], **settings: Any
) -> NetParameter:
    """The net of a split: weak labels and `loss` in training, FCN-32s as it is for all others.

    `settings` are those of weak.data_layer.WeakDataLayer.
    """
    n = caffe.NetSpec()
    if split == "train":
        params = dict(sbdd_dir=sbd_of(task), split="train", mean=task.mean, seed=SEED, **settings)
        params |= dict(classes=task.classes) if task.body else {}
        add_python_layer(n, ["data", "label"], "fcn.weak.data_layer", "WeakDataLayer", params)
    else:
        task.data(n, split)
    vgg16(n, n.data, **task.body)
    decoder(n, task.classes)
    n.loss = loss(n) if split == "train" else seg_loss(n.score, n.label, task.normalize)
    return n.to_proto()


def write_labels(folder: Path) -> None:
    """Write the weak labels that train.prototxt in `folder` reads, from SBD's, unless they are there."""
    for _, params in data_layers(read_net(folder / "train.prototxt")):
        share = SAMPLE_LARGE if "sample" in params["sbdd_dir"] else labels.LARGE
        labels.write(folder / params["sbdd_dir"], params["split"], share=share)


def start_from_classifier(net: Any, body: Any) -> None:
    """Fill a net from VGG-16, its scores from the classifier's where both have as many classes.

    A net whose scores begin at zero soon answers each tag in a corner of its own, whatever the picture shows.
    """
    for name, blobs in body.params.items():
        for own, other in zip(net.params[name], blobs):
            own.data[...] = other.data
    sample = Path.cwd().name == "sample"  # training runs in the folder of its prototxts
    file = weights.given_or_found(None, CLASSIFIER, sample)
    classifier = caffe.Net(str(models.prototxt_of(CLASSIFIER, sample)), str(file), caffe.TEST)
    for own, other in zip(net.params["score_fr"], classifier.params["fc8"]):
        if own.data.shape[0] == other.data.shape[0]:
            own.data.flat = other.data.flat
