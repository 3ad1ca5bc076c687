"""FCN-8s on PASCAL-Context, scores at stride 8: the stride-16 net fused with scores of pool3.

59 classes and background.
"""

import caffe
from fcn.nets import decoder, seg_loss, vgg16
from fcn.prototxts import NetParameter, write
from fcn.tasks import PASCALCONTEXT, Task


def fcn(split: str, task: Task = PASCALCONTEXT) -> NetParameter:
    """The net for one split of a task."""
    n = caffe.NetSpec()
    task.data(n, split)
    vgg16(n, n.data)
    decoder(n, task.classes, skips=["pool4", "pool3"])
    n.loss = seg_loss(n.score, n.label)
    return n.to_proto()


if __name__ == "__main__":
    write(__file__, fcn, PASCALCONTEXT)
