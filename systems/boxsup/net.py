"""BoxSup on PASCAL VOC (Dai, He and Sun 2015): FCN-32s that learns from masks which are made from boxes."""

import caffe
from fcn.datasets.dataset import SEED, add_python_layer
from fcn.nets import decoder, seg_loss, vgg16
from fcn.prototxts import NetParameter, write
from fcn.tasks import SYSTEM_SAMPLE, SYSTEM_VOC, Task
from fcn.weak.nets import sbd_of


def fcn(split: str, task: Task = SYSTEM_VOC) -> NetParameter:
    """The net for one split of a task."""
    n = caffe.NetSpec()
    if split == "train":
        params = dict(sbdd_dir=sbd_of(task), split=split, mean=task.mean, seed=SEED)
        params |= dict(classes=task.classes) if task.body else {}
        add_python_layer(n, ["data", "label"], "fcn.weak.boxsup", "BoxMaskDataLayer", params)
    else:
        task.data(n, split)
    vgg16(n, n.data, **task.body)
    decoder(n, task.classes)
    n.loss = seg_loss(n.score, n.label, task.normalize)
    return n.to_proto()


if __name__ == "__main__":
    write(__file__, fcn, SYSTEM_VOC, SYSTEM_SAMPLE, deployed=True)
