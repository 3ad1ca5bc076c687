"""DeepLab-LargeFOV on PASCAL VOC (Chen et al. 2015): VGG-16 at stride 8 and an fc6 with holes of 12."""

from fcn.deeplab import net_of
from fcn.prototxts import NetParameter, write
from fcn.tasks import SYSTEM_SAMPLE, SYSTEM_VOC, Task


def fcn(split: str, task: Task = SYSTEM_VOC) -> NetParameter:
    """The net for one split of a task."""
    return net_of(split, task, holes=(12,), average=True)


if __name__ == "__main__":
    write(__file__, fcn, SYSTEM_VOC, SYSTEM_SAMPLE, deployed=True)
