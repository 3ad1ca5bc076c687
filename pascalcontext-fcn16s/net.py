"""FCN-16s on PASCAL-Context, scores at stride 16: the stride-32 net fused with scores of pool4.

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
    decoder(n, task.classes, skips=["pool4"])
    n.loss = seg_loss(n.score, n.label)
    return n.to_proto()


if __name__ == "__main__":
    write(__file__, fcn, PASCALCONTEXT)
