"""What's the point (Bearman et al. 2016) on PASCAL VOC: FCN-32s that learns from a point an object."""

import caffe
from caffe import layers as L
from fcn.nets import Top
from fcn.prototxts import NetParameter, write
from fcn.tasks import SYSTEM_SAMPLE, SYSTEM_VOC, Task
from fcn.weak.nets import net_of


def fcn(split: str, task: Task = SYSTEM_VOC) -> NetParameter:
    """The net for one split of a task."""
    return net_of(split, task, expectation)


def expectation(n: caffe.NetSpec) -> Top:
    """The loss of tags, points and objectness."""
    return L.SoftmaxWithLossExpectation(n.score, n.label)


if __name__ == "__main__":
    write(__file__, fcn, SYSTEM_VOC, SYSTEM_SAMPLE, deployed=True)
