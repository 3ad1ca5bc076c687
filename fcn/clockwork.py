"""Clockwork convnets (Shelhamer et al. 2016): stages of a skip net at rates of their own over a video.

What a deep stage says changes slowly, so it need not run for every picture. FCN-8s has three stages, which
end in the scores of pool3, of pool4 and of fc7, and a fusion of the three. A stage that does not run leaves
its scores as they were.
"""

import itertools
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import caffe
from fcn.prototxts import NetParameter, text_of

SCORES = {"pool3": "score_pool3", "pool4": "score_pool4"}  # that a stage ends in
LATER = ("conv4_1", "conv5_1", "score_pool4c")  # the first layer of each stage after the first
STAGES = 3  # and a fusion
FUSION = STAGES


def staged(net: NetParameter) -> NetParameter:
    """A skip net's layers in the order of its stages: the scores of a pool right behind it.

    ValueError for a net that is no FCN-8s.
    """
    names = [layer.name for layer in net.layer]
    needed = {*SCORES, *SCORES.values(), *LATER}
    if missing := sorted(needed - set(names)):
        raise ValueError(
            f"stages are those of FCN-8s, and this net has no layer {', '.join(missing)}: "
            "take voc-fcn8s, siftflow-fcn8s or pascalcontext-fcn8s"
        )
    moved = {layer.name: layer for layer in net.layer if layer.name in SCORES.values()}
    result = type(net)()
    result.CopyFrom(net)
    del result.layer[:]
    for layer in net.layer:
        if layer.name not in moved:
            result.layer.add().CopyFrom(layer)
        if layer.name in SCORES:
            result.layer.add().CopyFrom(moved[SCORES[layer.name]])
    return result


class Clockwork:
    """An FCN-8s that reads a video, frame by frame, by a schedule.

    `update(stage)` runs one, from 0 on, `frame` counts from 0 since the size of the frames has changed.
    `updates` counts how often each stage ran.
    """

    def __init__(
        self, net: NetParameter, weights: Path | None, schedule: Callable[["Clockwork"], None]
    ) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "staged.prototxt")
            path.write_text(text_of(staged(net)))
            self.net = caffe.Net(str(path), caffe.TEST)
        if weights:
            self.net.copy_from(str(weights))
        self.schedule = schedule
        self.size: tuple[int, ...] = ()
        self.frame, self.updates = 0, [0] * (STAGES + 1)
        layers = list(self.net.top_names)
        starts = [0, *map(layers.index, LATER), len(layers)]
        # Splits that Caffe has put in belong to the stage whose scores they copy
        self.stages = [(layers[a], layers[b - 1]) for a, b in itertools.pairwise(starts)]
        self.last: np.ndarray | None = None  # the classes by pool4 when stage 3 ran last

    def __getattr__(self, name: str) -> Any:
        """Everything else is the net's."""
        if name == "net":  # not made yet
            raise AttributeError(name)
        return getattr(self.net, name)

    def __call__(self, data: np.ndarray) -> np.ndarray:
        """The class of each pixel, H x W, of a frame as the net reads it (3 x H x W, mean subtracted)."""
        blob = self.net.blobs["data"]
        if blob.data.shape != (1, *data.shape):
            blob.reshape(1, *data.shape)
        blob.data[0] = data
        self.forward()
        classes: np.ndarray = self.net.blobs["score"].data[0].argmax(0)
        return classes

    def forward(self) -> None:
        """Let the schedule run what it wants to for the frame that `data` holds."""
        size = tuple(self.net.blobs["data"].shape)
        if size != self.size:
            self.restart()
            self.size = size
        self.schedule(self)
        self.frame += 1

    def restart(self) -> None:
        """Take the next frame for the first of a video."""
        self.frame, self.last = 0, None

    def update(self, *stages: int) -> None:
        """Run stages, in this order."""
        for stage in stages:
            first, last = self.stages[stage]
            self.net.forward(start=first, end=last)
            self.updates[stage] += 1

    def changed(self) -> float:
        """The share of the places whose class by pool4 is another than when stage 3 ran last."""
        now = self.net.blobs["score_pool4"].data[0].argmax(0)
        return 1.0 if self.last is None else float((now != self.last).mean())

    def remember(self) -> None:
        """Let `changed` compare with what pool4 says now."""
        self.last = self.net.blobs["score_pool4"].data[0].argmax(0)


# ---- schedules: what runs for a frame


def full(net: Clockwork) -> None:
    """Everything, for every frame."""
    net.net.forward()
    net.updates = [count + 1 for count in net.updates]


def every_other(net: Clockwork) -> None:
    """Everything for every other frame, whose scores stand for the next one, too."""
    if net.frame % 2 == 0:
        full(net)


def alternating(net: Clockwork) -> None:
    """The deepest stage for every other frame."""
    net.update(0, 1, *([2] if net.frame % 2 == 0 else []), FUSION)


def two_stages(net: Clockwork) -> None:
    """The deepest stage reads the frame before; it and the others could run at the same time."""
    if net.frame == 0:
        return full(net)
    net.update(2, 0, 1, FUSION)


def three_stages(net: Clockwork) -> None:
    """Each stage reads what the one before it said of the frame before."""
    if net.frame == 0:
        return full(net)
    net.update(2, 1, 0, FUSION)


def adaptive(threshold: float) -> Callable[[Clockwork], None]:
    """The deepest stage if pool4's classes have changed on such a share of the places since it ran last."""

    def schedule(net: Clockwork) -> None:
        net.update(0, 1)
        if net.changed() >= threshold:
            net.update(2)
            net.remember()
        net.update(FUSION)

    return schedule


class Named(NamedTuple):
    """A schedule, and what a table says of it."""

    name: str
    schedule: Callable[[Clockwork], None]


def named(name: str) -> Callable[[Clockwork], None]:
    """The schedule of a name: full, alternating, pipeline, every-other, adaptive, or adaptive:SHARE.

    ValueError for any other.
    """
    word, _, share = name.partition(":")
    if word == "adaptive":
        try:
            return adaptive(float(share or 0.1))
        except ValueError:
            raise ValueError(f"adaptive:{share}: a share from 0 to 1 is wanted") from None
    if name not in BY_NAME:
        raise ValueError(f"no schedule {name!r}; there are {', '.join(BY_NAME)}, adaptive:SHARE")
    return BY_NAME[name]


BY_NAME = {
    "full": full,
    "alternating": alternating,
    "pipeline": two_stages,
    "every-other": every_other,
}
SCHEDULES = (
    Named("full", full),
    Named("pipeline of 2 stages", two_stages),
    Named("pipeline of 3 stages", three_stages),
    Named("every other frame", every_other),
    Named("alternating", alternating),
    *(Named(f"adaptive, {share:g}", adaptive(share)) for share in (0.05, 0.1, 0.2, 0.3)),
)
