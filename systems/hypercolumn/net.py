"""Hypercolumns on PASCAL VOC (Hariharan et al. 2015): each pixel is classified by what pool2, conv4 and fc7
say above it.

A linear classifier of the stacked column is a sum of linear classifiers of its parts. So each map is
classified where it is small, and its scores are enlarged, not the map itself: the same numbers.
"""

import caffe
from caffe import layers as L
from caffe import params as P
from caffe.coord_map import crop
from fcn.nets import FIXED, score, seg_loss, upscore, vgg16
from fcn.prototxts import NetParameter, write
from fcn.tasks import SYSTEM_SAMPLE, SYSTEM_VOC, Task

STRIDES = {"drop7": 32, "relu4_3": 8, "pool2": 4}  # of the maps of a column
# What brings VGG-16's maps to the size of drop7, as in voc-fcn8s-atonce. The small net's are of one size.
SCALES = {"relu4_3": 0.01, "pool2": 0.0001}


def fcn(split: str, task: Task = SYSTEM_VOC) -> NetParameter:
    """The net for one split of a task."""
    n = caffe.NetSpec()
    task.data(n, split)
    vgg16(n, n.data, **task.body)
    parts = [part(n, blob, task) for blob in STRIDES]
    n.score = L.Eltwise(*parts, operation=P.Eltwise.SUM)
    n.loss = seg_loss(n.score, n.label, task.normalize)
    return n.to_proto()


def part(n: caffe.NetSpec, blob: str, task: Task) -> object:
    """Add the scores of one map of the column, at the picture's size."""
    name, x = {"drop7": "fr"}.get(blob, blob.replace("relu", "conv")), n[blob]
    if blob in SCALES and not task.body:
        filler = dict(type="constant", value=SCALES[blob])
        x = n[f"scale_{name}"] = L.Scale(x, filler=filler, param=FIXED)
    x = n[f"score_{name}"] = score(x, task.classes)
    x = n[f"upscore_{name}"] = upscore(x, task.classes, STRIDES[blob])
    x = n[f"score_{name}c"] = crop(x, n.data)
    return x


if __name__ == "__main__":
    write(__file__, fcn, SYSTEM_VOC, SYSTEM_SAMPLE, deployed=True)
