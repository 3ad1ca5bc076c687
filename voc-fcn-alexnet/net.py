"""FCN-AlexNet on PASCAL VOC: CaffeNet's body, scores at stride 32, normalized loss.

The kernel of 63 (instead of 64) puts the scores' centres on pixels, as this body's geometry asks.
"""

import caffe
from fcn.nets import caffenet, decoder, seg_loss
from fcn.prototxts import NetParameter, write
from fcn.tasks import VOC, Task


def fcn(split: str, task: Task = VOC) -> NetParameter:
    """The net for one split of a task."""
    n = caffe.NetSpec()
    task.data(n, split)
    caffenet(n, n.data)
    decoder(n, task.classes, kernel=63)
    n.loss = seg_loss(n.score, n.label, normalize=True)
    return n.to_proto()


if __name__ == "__main__":
    write(__file__, fcn, VOC)
