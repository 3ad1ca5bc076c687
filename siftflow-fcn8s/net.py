"""FCN-8s on SIFT Flow, scores at stride 8: the stride-16 net fused with scores of pool3.

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
    decoder(n, task.classes, skips=["pool4", "pool3"], task="sem")
    n.loss = seg_loss(n.score_sem, n.sem)
    decoder(n, task.geo_classes, skips=["pool4", "pool3"], task="geo")
    n.loss_geo = seg_loss(n.score_geo, n.geo)
    return n.to_proto()


if __name__ == "__main__":
    write(__file__, fcn, SIFTFLOW)
