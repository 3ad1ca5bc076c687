"""FCN-32s on NYUDv2, from the depth coded as HHA: disparity, height, angle with gravity."""

import caffe
from fcn.nets import decoder, seg_loss, vgg16, write
from fcn.tasks import NYUD


def fcn(split, task=NYUD):
    n = caffe.NetSpec()
    task.data(n, split, ["hha", "label"], blobs=["data", "label"])
    vgg16(n, n.data)
    decoder(n, task.classes)
    n.loss = seg_loss(n.score, n.label)
    return n.to_proto()


if __name__ == "__main__":
    write(__file__, fcn, NYUD)
