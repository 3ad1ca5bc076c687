"""FCN-8s on PASCAL VOC, trained at once instead of stage by stage.

The skips are scaled down to the size of the coarse scores' gradients: otherwise the scores of
pool3 and pool4, which are large numbers, would drown them.
"""

import caffe
from fcn.nets import decoder, seg_loss, vgg16
from fcn.prototxts import NetParameter, write
from fcn.tasks import VOC, Task


def fcn(split: str, task: Task = VOC) -> NetParameter:
    """The net for one split of a task."""
    n = caffe.NetSpec()
    task.data(n, split)
    vgg16(n, n.data)
    scales = {"pool4": 0.01, "pool3": 0.0001}
    decoder(n, task.classes, skips=["pool4", "pool3"], scales=scales)
    n.loss = seg_loss(n.score, n.label)
    return n.to_proto()


if __name__ == "__main__":
    write(__file__, fcn, VOC)
