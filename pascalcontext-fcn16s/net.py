"""FCN-16s on PASCAL-Context, scores at stride 16: the stride-32 net fused with scores of pool4.

59 classes and background.
"""

import caffe
from fcn.nets import decoder, seg_loss, vgg16, write
from fcn.tasks import PASCALCONTEXT


def fcn(split, task=PASCALCONTEXT):
    n = caffe.NetSpec()
    task.data(n, split)
    vgg16(n, n.data)
    decoder(n, task.classes, skips=["pool4"])
    n.loss = seg_loss(n.score, n.label)
    return n.to_proto()


if __name__ == "__main__":
    write(__file__, fcn, PASCALCONTEXT)
