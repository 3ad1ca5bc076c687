"""The nets of Yu and Koltun (ICLR 2016): VGG-16 without its last two poolings, and the context module.

Every convolution of the front end goes without padding: the picture is mirrored at its borders instead
(fcn/reflection.py), and the cells that are left, one for 8 pixels, are of the picture alone.
"""

from typing import Any, NamedTuple

import caffe
from caffe import layers as L
from caffe import params as P
from fcn.nets import FIXED, LEARNED, VGG16, Top, conv_relu, dropout, max_pool
from fcn.prototxts import NetParameter
from fcn.tasks import Task

CELL = 8  # pixels between two scores
MEAN = (102.93, 111.36, 116.52)  # BGR, of the released VOC net


class Context(NamedTuple):
    """A context module: dilated 3x3 convolutions one upon another, which keep the number of cells."""

    prefix: str  # of its layers' names
    dilations: tuple[int, ...]  # of conv1_1, conv1_2, conv2_1, conv3_1, ...; that of fc1 is 1
    widths: tuple[int, ...]  # of the same layers and of fc1, as multiples of the number of classes
    at_once: bool = (
        False  # all padding is in the first layer, and not as much in each as it takes away
    )


_STEPS = (1, 1, 2, 4, 8, 16, 32, 64)
LARGE = Context(
    "ct", _STEPS[:6], (2, 2, 4, 8, 16, 32, 32), at_once=True
)  # of the published VOC net


def basic(layers: int = 6) -> Context:
    """The basic module of so many dilated layers, as wide as there are classes: 5 of the published KITTI
    net, 6 of CamVid's, 8 of Cityscapes'."""
    return Context("ctx", _STEPS[:layers], (1,) * (layers + 1))


def front_end(
    n: caffe.NetSpec,
    data: Top,
    classes: int,
    final: str = "final",
    narrow: int = 1,
    fc6: int = 7,
    drop: float = 0.5,
    first_rate: float = 1,
    final_filler: dict[str, Any] | None = None,
    **more: Any,
) -> Top:
    """Add the front end, which ends in a 1x1 convolution `final`.

    `narrow`, `fc6`, `drop` and `first_rate` as in `nets.vgg16`; `more` goes to every convolution.
    """
    x = data
    for stage, (depth, channels) in enumerate(VGG16, 1):
        for at in (f"{stage}_{i}" for i in range(1, depth + 1)):
            conv = dict(num_output=channels // narrow, kernel_size=3, **more)
            if stage == 5:
                conv["dilation"] = 2
            if at == "1_1" and first_rate != 1:
                conv["param"] = [dict(LEARNED[0], lr_mult=first_rate), LEARNED[1]]
            x = conv_relu(n, f"conv{at}", f"relu{at}", x, **conv)
        if stage <= 3:
            x = n[f"pool{stage}"] = max_pool(x, 2, 2)
    for fc, kernel in (("6", dict(kernel_size=fc6, dilation=4)), ("7", dict(kernel_size=1))):
        x = conv_relu(n, f"fc{fc}", f"relu{fc}", x, num_output=4096 // narrow, **kernel, **more)
        x = n[f"drop{fc}"] = dropout(x, drop)
    filler = dict(weight_filler=final_filler) if final_filler else {}
    n[final] = L.Convolution(x, num_output=classes, kernel_size=1, **more, **filler)
    return n[final]


def margin(fc6: int = 7) -> int:
    """The pixels that the front end takes away at each border of the picture.

    >>> margin()
    186
    """
    return 90 + 4 * CELL * (fc6 - 1) // 2


def context(n: caffe.NetSpec, bottom: Top, classes: int, module: Context, **more: Any) -> Top:
    """Add a context module upon the scores `bottom`. `more` goes to every convolution."""
    x = bottom
    reach = [*module.dilations, 1]  # fc1's is the last
    names = ["conv1_1", "conv1_2", *(f"conv{i}_1" for i in range(2, len(module.dilations)))]
    for i, (name, width, dilation) in enumerate(zip([*names, "fc1"], module.widths, reach)):
        conv = dict(num_output=width * classes, kernel_size=3, **more)
        if dilation > 1:
            conv["dilation"] = dilation
        if not module.at_once:
            conv["pad"] = dilation
        elif i == 0:
            conv["pad"] = sum(reach)
        relu = "fc1_relu" if name == "fc1" else name.replace("conv", "relu")
        x = conv_relu(n, f"{module.prefix}_{name}", f"{module.prefix}_{relu}", x, **conv)
    n[f"{module.prefix}_final"] = L.Convolution(x, num_output=classes, kernel_size=1, **more)
    return n[f"{module.prefix}_final"]


# ---- as parts of a net to train and to score


def data(n: caffe.NetSpec, split: str, task: Task) -> None:
    """Add the data layer's tops; VOC's pictures without the mean of the released net."""
    task.data(n, split, **({} if task.body else dict(mean=MEAN)))


def mirrored(n: caffe.NetSpec, task: Task) -> Top:
    """Add the picture mirrored at its borders.

    To 900x900 at least on VOC, as the published test does; the embedded task has no least size.
    """
    fc6 = task.body.get("fc6", 7)
    params = dict(margin=margin(fc6), cell=CELL, least=0 if task.body else 66)
    n.mirrored = L.Python(
        n.data, module="fcn.reflection", layer="ReflectionPadding", param_str=repr(params)
    )
    return n.mirrored


def loss_of_cells(n: caffe.NetSpec, scores: Top) -> None:
    """Add the loss of a cell at each eighth pixel, where the published training takes its labels."""
    n.label_cells = L.Pooling(
        n.label, pool=P.Pooling.MAX, kernel_size=1, stride=CELL, round_mode=P.Pooling.FLOOR
    )
    n.score_cells = L.Crop(scores, n.label_cells, axis=2, offset=0)
    n.loss = L.SoftmaxWithLoss(n.score_cells, n.label_cells, loss_param=dict(ignore_label=255))


def score_of_pixels(n: caffe.NetSpec, scores: Top) -> None:
    """Add the score of each pixel: cells' probabilities, interpolated between each eighth pixel."""
    n.prob = L.Softmax(scores)
    n.zoomed = L.Interp(n.prob, zoom_factor=CELL)
    n.score = L.Crop(n.zoomed, n.data, axis=2, offset=0)


def body_of(task: Task) -> dict[str, Any]:
    """What the front end of a task's nets differs by, and how its last layer begins."""
    return dict(param=LEARNED, final_filler=dict(type="gaussian", std=0.001)) | task.body


def frozen(task: Task) -> dict[str, Any]:
    """The same of a front end that learns no more."""
    return body_of(task) | dict(param=FIXED * 2, first_rate=1)


def with_context(module: Context, split: str, task: Task) -> NetParameter:
    """The net of one split: a front end that learns no more, and a context module that does."""
    n = caffe.NetSpec()
    data(n, split, task)
    scores = front_end(n, mirrored(n, task), task.classes, "fc-final", **frozen(task))
    scores = context(n, scores, task.classes, module, param=LEARNED)
    (loss_of_cells if split == "train" else score_of_pixels)(n, scores)
    return n.to_proto()


def of_size(n: caffe.NetSpec, height: int, width: int) -> NetParameter:
    """A net whose input, `data`, is stated as the released nets state it."""
    net = n.to_proto()
    del net.layer[0]
    net.input.append("data")
    net.input_shape.add(dim=[1, 3, height, width])
    return net
