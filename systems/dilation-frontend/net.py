"""Dilation's front end on PASCAL VOC (Yu and Koltun 2016): VGG-16 at stride 8 by dilated convolutions."""

import caffe
from fcn.dilated import body_of, data, front_end, loss_of_cells, mirrored, score_of_pixels
from fcn.prototxts import NetParameter, write
from fcn.tasks import SYSTEM_SAMPLE, SYSTEM_VOC, Task


def fcn(split: str, task: Task = SYSTEM_VOC) -> NetParameter:
    """The net for one split of a task."""
    n = caffe.NetSpec()
    data(n, split, task)
    picture = mirrored(n, task)
    scores = front_end(n, picture, task.classes, "fc-final", **body_of(task))
    (loss_of_cells if split == "train" else score_of_pixels)(n, scores)
    return n.to_proto()


if __name__ == "__main__":
    write(__file__, fcn, SYSTEM_VOC, SYSTEM_SAMPLE, deployed=True)
