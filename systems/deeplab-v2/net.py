"""DeepLab v2 on PASCAL VOC (Chen et al. 2017): VGG-16 at stride 8 and heads with holes of 6, 12, 18, 24."""

from fcn.deeplab import net_of
from fcn.prototxts import NetParameter, write
from fcn.tasks import SYSTEM_SAMPLE, SYSTEM_VOC, Task


def fcn(split: str, task: Task = SYSTEM_VOC) -> NetParameter:
    """The net for one split of a task."""
    return net_of(split, task, holes=(6, 12, 18, 24))


if __name__ == "__main__":
    write(__file__, fcn, SYSTEM_VOC, SYSTEM_SAMPLE, deployed=True)
