"""The nets of Chen, Papandreou and others, on VGG-16: DeepLab-LargeFOV (ICLR 2015) and DeepLab v2 with atrous
spatial pyramid pooling (PAMI 2017).

Poolings are 3x3, with a pad of 1. So cell k of stride s lies exactly on pixel s k, which is where `Interp`
takes the shrunken labels from in training, and puts the enlarged scores to in test.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import caffe
from caffe import layers as L
from caffe import params as P
from fcn.datasets.lists import write_list
from fcn.nets import LEARNED, VGG16, Top, conv_relu, dropout
from fcn.prototxts import NetParameter, read_net
from fcn.tasks import Task

CELL = 8  # pixels between two scores
LIST = "train_labelled.txt"  # of pictures and label files, in SBD's folder
CROP, BATCH = 321, 10  # of the released recipe
SAMPLE_CROP, SAMPLE_BATCH = (177, 233), 2  # 8 k + 1, as labels are shrunk by 8


def pooled(n: caffe.NetSpec, data: Top, narrow: int = 1, first_rate: float = 1, **more: Any) -> Top:
    """Add VGG-16 through pool5, at stride 8: the last two poolings have stride 1, conv5's kernels holes."""
    x = data
    for stage, (depth, channels) in enumerate(VGG16, 1):
        hole = dict(pad=2, dilation=2) if stage == 5 else dict(pad=1)
        for at in (f"{stage}_{i}" for i in range(1, depth + 1)):
            conv = dict(num_output=channels // narrow, kernel_size=3, **hole, **more)
            if at == "1_1" and first_rate != 1:
                conv["param"] = [dict(LEARNED[0], lr_mult=first_rate), LEARNED[1]]
            x = conv_relu(n, f"conv{at}", f"relu{at}", x, **conv)
        stride = dict(stride=2) if stage <= 3 else dict(stride=1)
        x = n[f"pool{stage}"] = L.Pooling(x, pool=P.Pooling.MAX, kernel_size=3, pad=1, **stride)
    return x


def head(
    n: caffe.NetSpec,
    bottom: Top,
    classes: int,
    hole: int,
    end: str = "",
    width: int = 1024,
    drop: float = 0.5,
    rate: float = 10,
) -> Top:
    """Add fc6 with its `hole`, fc7 and fc8, whose names end with `end`; returns the scores.

    `width` is that of fc6 and fc7. fc8 learns at `rate` times the others' rate.
    """
    x = bottom
    shapes = (("6", dict(kernel_size=3, pad=hole, dilation=hole)), ("7", dict(kernel_size=1)))
    for fc, shape in shapes:
        conv = dict(num_output=width, param=LEARNED, **shape)
        x = conv_relu(n, f"fc{fc}{end}", f"relu{fc}{end}", x, **conv)
        x = n[f"drop{fc}{end}"] = dropout(x, drop)
    rates = [dict(LEARNED[0], lr_mult=rate), dict(LEARNED[1], lr_mult=2 * rate)]
    filler = dict(
        weight_filler=dict(type="gaussian", std=0.01), bias_filler=dict(type="constant", value=0)
    )
    n[f"fc8_voc12{end}"] = L.Convolution(
        x, num_output=classes, kernel_size=1, param=rates, **filler
    )
    return n[f"fc8_voc12{end}"]


def net_of(split: str, task: Task, holes: Sequence[int], average: bool = False) -> NetParameter:
    """The net of one split: as many heads as `holes`, and the sum of their scores.

    `average` smoothes pool5 beforehand. On the embedded task, whose fc6 sees less, holes are half as wide.
    """
    n = caffe.NetSpec()
    small = bool(task.body)
    (labelled_pictures if split == "train" else task.data)(n, split, **reading(split, small, task))
    body = {key: value for key, value in task.body.items() if key in ("narrow", "first_rate")}
    x = pooled(n, n.data, param=LEARNED, **body)
    if average:
        x = n.pool5a = L.Pooling(x, pool=P.Pooling.AVE, kernel_size=3, stride=1, pad=1)
    ends = [f"_{i}" for i in range(1, len(holes) + 1)] if len(holes) > 1 else [""]
    # Each head has as many channels as the small VGG-16's fc6, which has none to spare.
    width = 4096 // task.body.get("narrow", 1)
    more = dict(width=width, drop=task.body["drop"], rate=1) if small else {}
    scores = [
        head(n, x, task.classes, hole // (2 if small else 1), end, **more)
        for hole, end in zip(holes, ends)
    ]
    if len(scores) > 1:
        n.fc8_voc12 = L.Eltwise(*scores, operation=P.Eltwise.SUM)
    (loss if split == "train" else score_of_pixels)(n)
    return n.to_proto()


def reading(split: str, small: bool, task: Task) -> dict[str, Any]:
    """The arguments of the data layer of a split."""
    if split != "train":
        return {}
    sbd = "sample/scenes/sbd" if small else "sbdd/dataset"
    crop = dict(zip(("crop_height", "crop_width"), SAMPLE_CROP)) if small else dict(crop_size=CROP)
    return dict(
        folder=f"{task.place['data']}/{sbd}/",
        batch=SAMPLE_BATCH if small else BATCH,
        transform=dict(mirror=not small, mean_value=list(task.mean), **crop),
    )


def labelled_pictures(
    n: caffe.NetSpec, split: str, folder: str, batch: int, transform: dict[str, Any]
) -> None:
    """Add the fork's data layer: crops of pictures and of label files, from a list."""
    n.data, n.label, n.data_dim = L.ImageSegData(
        ntop=3,
        transform_param=transform,
        image_data_param=dict(
            root_folder=folder,
            source=folder + LIST,
            batch_size=batch,
            shuffle=True,
            label_type=P.ImageData.PIXEL,
        ),
    )
    n.silence = L.Silence(n.data_dim, ntop=0)


def loss(n: caffe.NetSpec) -> None:
    """Add the shrunken labels, the loss on them, and the share of cells that are right."""
    n.label_shrink = L.Interp(n.label, shrink_factor=CELL, pad_beg=0, pad_end=0)
    n.loss = L.SoftmaxWithLoss(n.fc8_voc12, n.label_shrink, loss_param=dict(ignore_label=255))
    n.accuracy = L.SegAccuracy(n.fc8_voc12, n.label_shrink, ignore_label=255)


def score_of_pixels(n: caffe.NetSpec) -> None:
    """Add the scores at the picture's size."""
    n.fc8_interp = L.Interp(n.fc8_voc12, zoom_factor=CELL)
    n.score = L.Crop(n.fc8_interp, n.data, axis=2, offset=0)


# ---- before training


def write_lists(folder: Path) -> None:
    """Write the list and the label files that train.prototxt in `folder` reads, unless they are there."""
    data = read_net(folder / "train.prototxt").layer[0].image_data_param
    path = folder / data.source
    if not path.is_file():
        write_list(path.parent, "train", path)


def start_from_vgg16(net: Any, vgg16: Any) -> None:
    """Fill a net from VGG-16.

    fc6 and fc7 get a fourth of its channels, of several heads each another one, and fc6 a kernel of 3x3
    places in its own. Weights grow by what the sums lose in terms.
    """
    for name, (weights, bias) in net.params.items():
        own, _, number = (name, "", "") if name in vgg16.params else name.partition("_")
        source = vgg16.params.get(own)
        if source is None or not own.startswith(("conv", "fc6", "fc7")):
            continue
        values, biases = source[0].data, source[1].data
        if name.startswith("fc"):
            terms = values[0].size / weights.data[0].size
            first = int(number or 1) - 1
            values = terms * fewer(values, weights.data.shape, first)
            biases = fewer(biases, bias.data.shape, first)
        weights.data[...], bias.data[...] = values, biases


def fewer(values: np.ndarray, shape: Sequence[int], first: int = 0) -> np.ndarray:
    """Weights or biases taken at even steps from the `first` on, the places of a kernel between the
    outermost ones.

    >>> fewer(np.arange(8.0), (4,), 1)
    array([1., 3., 5., 7.])
    """
    for axis, size in enumerate(shape[:2]):
        step = values.shape[axis] // size
        values = values.take(np.arange(size) * step + first % step, axis)
    for axis, size in enumerate(shape[2:], 2):
        at = np.linspace(0, values.shape[axis] - 1, size)
        low = np.floor(at).astype(int)
        high = np.minimum(low + 1, values.shape[axis] - 1)
        share = (at - low).reshape([-1 if i == axis else 1 for i in range(values.ndim)])
        values = (1 - share) * values.take(low, axis) + share * values.take(high, axis)
    return values
