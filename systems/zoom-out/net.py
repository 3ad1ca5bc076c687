"""Zoom-out features on PASCAL VOC (Mostajabi et al. 2015): superpixels classified by what all layers of
VGG-16 hold around them, from 3 pixels to the whole picture.
"""

import caffe
from caffe import layers as L
from caffe.coord_map import coord_map_from_to
from fcn.nets import LEARNED, VGG16, Top, seg_loss, vgg16
from fcn.prototxts import NetParameter, write
from fcn.tasks import SYSTEM_SAMPLE, SYSTEM_VOC, Task

MODULE = "fcn.superpixels"
HIDDEN, SMALL_HIDDEN = 1024, 256  # outputs of each hidden layer of the classifier
COUNT, SMALL_COUNT = 500, 400  # superpixels of a picture
FILLER = dict(weight_filler=dict(type="msra"), bias_filler=dict(type="constant"))


def fcn(split: str, task: Task = SYSTEM_VOC) -> NetParameter:
    """The net for one split of a task. VGG-16 learns no more."""
    n, small = caffe.NetSpec(), bool(task.body)
    task.data(n, split)
    settings = dict(count=SMALL_COUNT if small else COUNT, mean=list(task.mean))
    n.superpixels = python("Superpixels", n.data, **settings)
    vgg16(n, n.data, **task.body)
    stages = [
        [n[f"relu{stage}_{i}"] for i in range(1, depth + 1)]
        for stage, (depth, _) in enumerate(VGG16, 1)
    ]
    for stage, maps in enumerate([*stages, [n.drop7]], 1):
        _, (scale,), (shift,) = coord_map_from_to(maps[0], n.data)
        place = dict(scale=float(scale), shift=float(shift))
        n[f"zoom{stage}"] = python("SuperpixelPooling", n.superpixels, *maps, **place)
    n.zoom_whole = python("SuperpixelPooling", n.superpixels, n.drop7, whole=True)
    names = [*(f"zoom{stage}" for stage in range(1, len(stages) + 2)), "zoom_whole"]
    n.column = L.Concat(*(n[name] for name in names))
    n.normal = L.BatchNorm(n.column, use_global_stats=True)
    x, drop = n.normal, task.body.get("drop", 0.5)
    for i in (1, 2):
        hidden = dict(num_output=SMALL_HIDDEN if small else HIDDEN, param=LEARNED, **FILLER)
        n[f"hidden{i}"] = L.InnerProduct(x, **hidden)
        n[f"hidden{i}_relu"] = L.ReLU(n[f"hidden{i}"], in_place=True)
        x = n[f"hidden{i}_drop"] = L.Dropout(
            n[f"hidden{i}_relu"], dropout_ratio=drop, in_place=True
        )
    n.score_sp = L.InnerProduct(x, num_output=task.classes, param=LEARNED, **FILLER)
    n.score = python("SuperpixelScores", n.score_sp, n.superpixels)
    n.loss = seg_loss(n.score, n.label, normalize=True)
    net = n.to_proto()
    for layer in net.layer:
        if layer.name.startswith(("conv", "fc")):
            for param in layer.param:
                param.lr_mult = 0
    return net


def python(layer: str, *bottoms: Top, **params: object) -> Top:
    """A layer of fcn/superpixels.py."""
    return L.Python(*bottoms, module=MODULE, layer=layer, param_str=repr(params) if params else "")


if __name__ == "__main__":
    write(__file__, fcn, SYSTEM_VOC, SYSTEM_SAMPLE, deployed=True)
