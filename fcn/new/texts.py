"""What the files of a new model folder say: net.py, solve.py, solver.prototxt."""

import json
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from fcn.wording import counted

NET = '''"""{title}: written by `fcn new`. After a change, run it: it writes the prototxts."""

import caffe
from fcn.datasets.folder import folder_dataset
from fcn.nets import decoder, seg_loss, vgg16
from fcn.prototxts import NetParameter, write
from fcn.tasks import Task

TASK = Task(
    folder_dataset(
        __file__,
        images_dir={images_dir},
        masks_dir={masks_dir},{mask_end}
        mean={mean},  # B, G, R, of the training pictures
    ),{body}
    normalize=True,  # the loss is a mean over a picture's pixels
)


def fcn(split: str, task: Task = TASK) -> NetParameter:
    """The net for one split."""
    n = caffe.NetSpec()
    task.data(n, split)
    vgg16(n, n.data, **task.body)
    decoder(n, task.classes{decoder})
    n.loss = seg_loss(n.score, n.label, task.normalize)
    return n.to_proto()


if __name__ == "__main__":
    write(__file__, fcn, TASK, deployed=True)
'''

SOLVE = '''"""Train {title}, {start_text}; a step is one of {pictures}."""

{imports}
RECIPE = Recipe(
    start={start},
    rounds={rounds},
    steps={steps},{initialize}
)

if __name__ == "__main__":
    solve(__file__, RECIPE)
'''

SOLVER = """train_net: "train.prototxt"
test_net: "val.prototxt"
test_iter: {test_iter}
# the test net is built, but run by solve.py and not by the solver
test_interval: 999999999
test_initialization: false
display: 20
average_loss: 20
{settings}
max_iter: {max_iter}
weight_decay: 0.0005
snapshot: {steps}
snapshot_prefix: "snapshot/train"
"""

# The published rate is 1e-10 for a loss that sums 500 x 375 pixels; this is the same for a mean. It
# does not depend on the pictures' size. Later stages have the published shares of it.
PUBLISHED = """lr_policy: "fixed"
base_lr: {rate:.3g}  # the loss is a mean over pixels; for a sum over 500 x 375 it is {summed}, as published
momentum: 0.99"""
PIXELS = 500 * 375
# A small net learns from nothing; Adam's steps do not depend on the loss's scale, nor on the pixels'.
FROM_NOTHING = """type: "Adam"
lr_policy: "multistep"
base_lr: {rate}
gamma: 0.4
{falls}
momentum: 0.9
momentum2: 0.999"""
FALLS = (0.5, 0.7, 0.85, 0.95)  # where the rate falls, of all steps
SMALL_BODY = """
    body=dict(narrow=8, fc6=4, weight_filler=dict(type="msra")),"""


class Stage(NamedTuple):
    """A net of a new folder."""

    folder: str  # "" for the folder itself
    title: str
    skips: Sequence[str]
    scales: Mapping[str, float] | None
    start: str  # an expression of Python, of the full width
    start_text: str
    summed: str  # the published rate
    share: float  # of a small net's steps


VGG = '"ilsvrc-nets/vgg16-fcn"'
BESIDE = 'str(Path(__file__).resolve().parent.parent / "{}")'
SKIPS, SCALES = ("pool4", "pool3"), {"pool4": 0.01, "pool3": 0.0001}
AT_ONCE = [Stage("", "FCN-8s", SKIPS, SCALES, VGG, "at once from VGG-16", "1e-10", 1)]
_FROM_32S, _FROM_16S = BESIDE.format("fcn32s"), BESIDE.format("fcn16s")
STAGES = [
    Stage("fcn32s", "FCN-32s", (), None, VGG, "from VGG-16", "1e-10", 0.4),
    Stage("fcn16s", "FCN-16s", SKIPS[:1], None, _FROM_32S, "from FCN-32s", "1e-12", 0.3),
    Stage("fcn8s", "FCN-8s", SKIPS, None, _FROM_16S, "from FCN-16s", "1e-14", 0.3),
]


class Facts(NamedTuple):
    """What the texts say of the data."""

    title: str  # of the folder
    images_dir: str
    masks_dir: str
    mask_end: str
    mean: tuple[float, ...]
    train: int  # pictures
    val: int
    small: bool


def net_text(stage: Stage, facts: Facts) -> str:
    """net.py."""
    decoder = f", skips={literal(stage.skips)}" if stage.skips else ""
    if stage.scales and not facts.small:
        decoder += f", scales={literal(stage.scales)}"
    mask_end = f"\n        mask_end={literal(facts.mask_end)}," if facts.mask_end else ""
    return NET.format(
        title=title_of(stage, facts),
        images_dir=literal(facts.images_dir),
        masks_dir=literal(facts.masks_dir),
        mask_end=mask_end,
        mean=facts.mean,
        body=SMALL_BODY if facts.small else "",
        decoder=decoder,
    )


def literal(value: object) -> str:
    """A value as Python states it, with double quotes."""
    return json.dumps(value, ensure_ascii=False)


def title_of(stage: Stage, facts: Facts) -> str:
    """What a net is, as a docstring can say it."""
    return f"{stage.title} on {facts.title}".replace("\\", "/").replace('"', "'")


def schedule(stage: Stage, facts: Facts) -> tuple[int, int]:
    """(rounds, steps a round).

    The published nets train for 100,000 steps on 795 to 8,498 pictures; fewer pictures need fewer.
    """
    if facts.small:
        total = min(max(25 * facts.train, 2_000), 40_000) * stage.share
        return 8, max(1, round(total / 8))
    total = min(max(100 * facts.train, 4_000), 100_000)
    return 20, round(total / 20)


def solve_text(stage: Stage, facts: Facts) -> str:
    """solve.py."""
    rounds, steps = schedule(stage, facts)
    first = facts.small and stage.start == VGG
    imports = "from fcn.train import Recipe, solve\n"
    if "Path(" in stage.start:
        imports = f"from pathlib import Path\n\n{imports}"
    if first:
        imports = f"from fcn.scaling import scale_layers\n{imports}"
    return SOLVE.format(
        title=title_of(stage, facts),
        start_text="from nothing" if first else stage.start_text,
        pictures=counted(facts.train, "picture"),
        imports=imports,
        start="()" if first else stage.start,
        rounds=rounds,
        steps=steps,
        initialize="\n    initialize=scale_layers," if first else "",
    )


def solver_text(stage: Stage, facts: Facts) -> str:
    """solver.prototxt."""
    rounds, steps = schedule(stage, facts)
    if facts.small:
        falls = "\n".join(f"stepvalue: {round(share * rounds * steps)}" for share in FALLS)
        rate = "0.001" if stage.start == VGG else "0.0005"
        settings = FROM_NOTHING.format(rate=rate, falls=falls)
    else:
        settings = PUBLISHED.format(rate=float(stage.summed) * PIXELS, summed=stage.summed)
    return SOLVER.format(
        test_iter=facts.val, settings=settings, max_iter=rounds * steps, steps=steps
    )
