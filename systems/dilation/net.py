"""Dilation on PASCAL VOC (Yu and Koltun 2016): the front end and the large context module."""

import caffe
from caffe import layers as L
from fcn.dilated import LARGE, context, front_end, of_size, with_context
from fcn.prototxts import NetParameter, write
from fcn.tasks import SYSTEM_SAMPLE, SYSTEM_VOC, Task


def fcn(split: str, task: Task = SYSTEM_VOC) -> NetParameter:
    """The net for one split of a task."""
    return with_context(LARGE, split, task)


def released() -> dict[str, NetParameter]:
    """The deploy net as released, for a picture of 528x528 in its mirrored margin."""
    n, classes = caffe.NetSpec(), SYSTEM_VOC.classes
    n.data = L.Input()
    n.prob = L.Softmax(context(n, front_end(n, n.data, classes, "fc-final"), classes, LARGE))
    net = of_size(n, 900, 900)
    for layer in net.layer:
        if layer.name in ("ct_conv1_1", "ct_conv1_2"):  # the only ones that state rates
            for rate in (1, 2):
                layer.param.add(lr_mult=rate, decay_mult=1)
        if layer.name == "ct_conv1_2":
            layer.convolution_param.pad.append(0)
    return {"dilation8_pascal_voc_deploy": net}


if __name__ == "__main__":
    write(__file__, fcn, SYSTEM_VOC, SYSTEM_SAMPLE, deployed=True, released=released)
