"""CCNN on PASCAL VOC with a bit of size a class: whether it fills more than a tenth of the picture."""

import caffe
from caffe import layers as L
from fcn.nets import Top
from fcn.prototxts import NetParameter, write
from fcn.tasks import SYSTEM_SAMPLE, SYSTEM_VOC, Task
from fcn.weak.nets import net_of

# Shares of a picture: of each class that is there, of background, of a large class and of any other
BOUNDS = dict(present=0.05, background=(0.2, 0.7), sizes=True, large=0.1, hardness=1000)
# Scores begin as the classifier's, too far apart for a price of 2 to move them
SAMPLE_BOUNDS = dict(
    present=0.03, slack=50, background=(0.85, 0.97), sizes=True, large=0.04, small=0.04, hardness=10
)


def fcn(split: str, task: Task = SYSTEM_VOC) -> NetParameter:
    """The net for one split of a task."""
    bounds = SAMPLE_BOUNDS if task.body else BOUNDS

    def constrained(n: caffe.NetSpec) -> Top:
        """The distance from the nearest distribution that meets what the tags say."""
        layer = dict(module="fcn.weak.losses", layer="ConstrainedLoss", loss_weight=1)
        return L.Python(n.score_fr, n.label, param_str=repr(bounds), **layer)

    return net_of(split, task, constrained, points=False)


if __name__ == "__main__":
    write(__file__, fcn, SYSTEM_VOC, SYSTEM_SAMPLE, deployed=True)
