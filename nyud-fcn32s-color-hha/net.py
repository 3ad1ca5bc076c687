"""FCN-32s on NYUDv2, late fusion: a net for colour and one for HHA, their scores averaged."""

import caffe
from caffe import layers as L
from caffe import params as P
from caffe.coord_map import crop
from fcn.nets import score, seg_loss, upscore, vgg16
from fcn.prototxts import NetParameter, write
from fcn.tasks import NYUD, Task


def fcn(split: str, task: Task = NYUD) -> NetParameter:
    """The net for one split of a task."""
    n = caffe.NetSpec()
    task.data(n, split, ["color", "hha", "label"])
    n.score_frcolor = score(vgg16(n, n.color, suffix="color"), task.classes)
    n.score_frhha = score(vgg16(n, n.hha, suffix="hha"), task.classes)
    mean = dict(operation=P.Eltwise.SUM, coeff=[0.5, 0.5])
    n.score_fused = L.Eltwise(n.score_frcolor, n.score_frhha, **mean)
    n.upscore = upscore(n.score_fused, task.classes, 32)
    n.score = crop(n.upscore, n.color)
    n.loss = seg_loss(n.score, n.label)
    return n.to_proto()


if __name__ == "__main__":
    write(__file__, fcn, NYUD)
