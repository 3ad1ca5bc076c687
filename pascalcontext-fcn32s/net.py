"""FCN-32s on PASCAL-Context, the coarse net: scores at stride 32, upsampled at once.

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
    decoder(n, task.classes)
    n.loss = seg_loss(n.score, n.label)
    return n.to_proto()


if __name__ == "__main__":
    write(__file__, fcn, PASCALCONTEXT)
