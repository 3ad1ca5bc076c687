"""FCN-32s on NYUDv2, from the depth coded as HHA: disparity, height, angle with gravity."""

import caffe
from fcn.nets import decoder, seg_loss, vgg16
from fcn.prototxts import NetParameter, write
from fcn.tasks import NYUD, Task


def fcn(split: str, task: Task = NYUD) -> NetParameter:
    """The net for one split of a task."""
    n = caffe.NetSpec()
    task.data(n, split, ["hha", "label"], blobs=["data", "label"])
    vgg16(n, n.data)
    decoder(n, task.classes)
    n.loss = seg_loss(n.score, n.label)
    return n.to_proto()


if __name__ == "__main__":
    write(__file__, fcn, NYUD)
