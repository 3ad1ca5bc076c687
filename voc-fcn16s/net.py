"""FCN-16s on PASCAL VOC, scores at stride 16: the stride-32 net fused with scores of pool4."""

import caffe
from fcn.nets import decoder, seg_loss, vgg16
from fcn.prototxts import NetParameter, write
from fcn.tasks import SAMPLE, VOC, Task


def fcn(split: str, task: Task = VOC) -> NetParameter:
    """The net for one split of a task."""
    n = caffe.NetSpec()
    task.data(n, split)
    vgg16(n, n.data, **task.body)
    decoder(n, task.classes, skips=["pool4"])
    n.loss = seg_loss(n.score, n.label, task.normalize)
    return n.to_proto()


if __name__ == "__main__":
    write(__file__, fcn, VOC, SAMPLE)
