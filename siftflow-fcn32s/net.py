"""FCN-32s on SIFT Flow, the coarse net: scores at stride 32, upsampled at once.

One body, two decoders: 33 semantic and 3 geometric classes.
"""

import caffe
from fcn.nets import decoder, seg_loss, vgg16
from fcn.prototxts import NetParameter, write
from fcn.tasks import SIFTFLOW, Task


def fcn(split: str, task: Task = SIFTFLOW) -> NetParameter:
    """The net for one split of a task."""
    n = caffe.NetSpec()
    task.data(n, split)
    vgg16(n, n.data)
    decoder(n, task.classes, task="sem")
    n.loss = seg_loss(n.score_sem, n.sem)
    decoder(n, task.geo_classes, task="geo")
    n.loss_geo = seg_loss(n.score_geo, n.geo)
    return n.to_proto()


if __name__ == "__main__":
    write(__file__, fcn, SIFTFLOW)
