"""FCN-MIL on PASCAL VOC (Pathak et al. 2015): FCN-32s that learns from image tags alone."""

import caffe
from caffe import layers as L
from fcn.nets import Top
from fcn.prototxts import NetParameter, write
from fcn.tasks import SYSTEM_SAMPLE, SYSTEM_VOC, Task
from fcn.weak.nets import net_of


def fcn(split: str, task: Task = SYSTEM_VOC) -> NetParameter:
    """The net for one split of a task."""
    return net_of(split, task, maximum, points=False)


def maximum(n: caffe.NetSpec) -> Top:
    """The loss of the cells where the classes that are there are likeliest, on the scores at stride 32."""
    layer = dict(module="fcn.weak.losses", layer="MaximumLoss", loss_weight=1)
    return L.Python(n.score_fr, n.label, **layer)


if __name__ == "__main__":
    write(__file__, fcn, SYSTEM_VOC, SYSTEM_SAMPLE, deployed=True)
