"""FCN-32s on NYUDv2, early fusion: colour and depth are one picture of four channels."""

import caffe
from caffe import layers as L
from fcn.nets import decoder, seg_loss, vgg16
from fcn.prototxts import NetParameter, write
from fcn.tasks import NYUD, Task


def fcn(split: str, task: Task = NYUD) -> NetParameter:
    """The net for one split of a task."""
    n = caffe.NetSpec()
    task.data(n, split, ["color", "depth", "label"])
    n.data = L.Concat(n.color, n.depth)
    vgg16(n, n.data, first="conv1_1_bgrd")
    decoder(n, task.classes)
    n.loss = seg_loss(n.score, n.label)
    return n.to_proto()


if __name__ == "__main__":
    write(__file__, fcn, NYUD)
