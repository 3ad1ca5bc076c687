"""Dilation with the basic context module (Yu and Koltun 2016), as wide as there are classes, on PASCAL VOC.

The released nets with such a module are of other data sets; their deploy prototxts are written, too.
"""

from typing import NamedTuple

import caffe
from caffe import layers as L
from fcn.dilated import basic, context, front_end, of_size, with_context
from fcn.nets import FIXED, LEARNED
from fcn.prototxts import NetParameter, write
from fcn.tasks import SYSTEM_SAMPLE, SYSTEM_VOC, Task


class Released(NamedTuple):
    """What a released net differs by."""

    classes: int
    size: tuple[int, int]  # of its input, height and width
    layers: int  # dilated ones of its context module
    zoomed: bool = False  # it interpolates its scores itself


RELEASED = {
    "dilation7_kitti": Released(11, (852, 1640), 5),
    "dilation8_camvid": Released(11, (900, 1100), 6),
    "dilation10_cityscapes": Released(19, (1396, 1396), 8, zoomed=True),
}


def fcn(split: str, task: Task = SYSTEM_VOC) -> NetParameter:
    """The net for one split of a task; the module is that of CamVid's net."""
    return with_context(basic(), split, task)


def released() -> dict[str, NetParameter]:
    """The deploy nets as released."""
    return {f"{name}_deploy": deploy_of(about) for name, about in RELEASED.items()}


def deploy_of(about: Released) -> NetParameter:
    """A released deploy net."""
    n = caffe.NetSpec()
    n.data = L.Input()
    x = front_end(n, n.data, about.classes, param=LEARNED)
    x = context(n, x, about.classes, basic(about.layers), param=LEARNED)
    if about.zoomed:
        bilinear = dict(kernel_size=16, stride=8, pad=4, bias_term=False)
        convolution = dict(num_output=about.classes, group=about.classes, **bilinear)
        fixed = [dict(FIXED[0], decay_mult=0)]
        x = n.ctx_upsample = L.Deconvolution(x, convolution_param=convolution, param=fixed)
    n.prob = L.Softmax(x)
    return of_size(n, *about.size)


if __name__ == "__main__":
    write(__file__, fcn, SYSTEM_VOC, SYSTEM_SAMPLE, deployed=True, released=released)
