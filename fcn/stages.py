"""Which of the published nets a file of weights is of, told by its layers' names; fills nets from files.

A file of another stage has most layers of a net, and the score layers that it lacks would stay zero:
every pixel would be background.
"""

import sys
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from fcn import models

TITLES = {  # the end of a model's name -> what papers call the net
    "fcn32s": "FCN-32s",
    "fcn16s": "FCN-16s",
    "fcn8s": "FCN-8s",
    "fcn8s-atonce": "FCN-8s trained at once",
    "fcn-alexnet": "FCN-AlexNet",
    "fcn32s-color-d": "FCN-32s of colour and depth",
    "fcn32s-color-hha": "FCN-32s of colour and HHA",
    "vgg16": "the VGG-16 classifier",
    "alexnet": "the CaffeNet classifier",
    "vgg16-fcn": "VGG-16 without scores",
    "alexnet-fcn": "CaffeNet without scores",
}
CLASSIFIERS = ("vgg16", "alexnet", "vgg16-fcn", "alexnet-fcn")


def stage_of(names: Iterable[str]) -> str:
    """The kind of net that has layers of these names: a key of TITLES, or "" for any other net.

    >>> stage_of(["conv1_1", "fc6", "fc7", "score_fr", "upscore2", "score_pool4", "upscore16"])
    'fcn16s'
    """
    known = {name.replace("-", "_") for name in names}  # 2015's editions have score-pool4

    def has(*starts: str) -> bool:
        return any(name.startswith(starts) for name in known)

    body = "alexnet" if "conv1" in known else "vgg16"
    if not has("fc6"):
        return ""
    if has("score_pool3"):
        return "fcn8s-atonce" if has("scale_pool") else "fcn8s"
    if has("score_pool4"):
        return "fcn16s"
    if has("score", "upscore"):
        if body == "alexnet":
            return "fcn-alexnet"
        if has("conv1_1_bgrd"):
            return "fcn32s-color-d"
        return "fcn32s-color-hha" if has("score_frhha") else "fcn32s"
    return body if "fc8" in known else f"{body}-fcn"


def described(stage: str, model: str, names: Iterable[str] = ()) -> str:
    """A stage in words, and as what --model it is read, where `model` was asked for."""
    if stage in CLASSIFIERS:
        return f"{TITLES[stage]} ({models.CLASSIFIERS}/{stage})"
    other = any(name.endswith(("_sem", "_geo")) for name in names)
    data = "siftflow" if other else Path(model).name.partition("-")[0]
    name = f"{data}-{stage}"
    known = [path.name for path in sorted(models.folder(model).parent.glob(f"{name}*"))]
    if name not in known and stage == "fcn32s":  # NYUDv2's have the kind of picture behind it
        known = [
            each for each in known if each.endswith(("-color", "-hha")) and each.count("-") == 2
        ]
        name = " or ".join(known) or name
    return f"{TITLES[stage]} (--model {name})"


def fill(net: Any, file: Path | str, model: str) -> None:
    """Fill a net of `model` from a file of weights.

    ValueError if the file is of another stage, or lacks layers of the net, which would stay zero.
    Prints a warning that names layers that the file has, but as zeros.
    """
    try:
        done = net.copy_from(str(file), report=True)
    except TypeError:  # BVLC's pycaffe reports nothing
        done = None
        net.copy_from(str(file))
    zero = [name for name, blobs in net.params.items() if not blobs[0].data.any()]
    if done is None:
        refuse(file, model, zero, net.params, ())
        return
    refuse(file, model, [name for name in zero if name in done.missing], net.params, done)
    if zero := [name for name in zero if name not in done.missing]:
        text = "it holds zeros there, as a net does that has not learned yet"
        print(
            f"warning: {file} leaves {', '.join(zero)} at zero: {text}", file=sys.stderr, flush=True
        )


def refuse(
    file: Path | str, model: str, missing: list[str], own: Collection[str], done: Any
) -> None:
    """Raise ValueError for a file of another stage, or if layers are missing."""
    there = [*done.copied, *done.ignored] if done else []
    found, wanted = stage_of(there), stage_of(own)
    other = bool(found) and found != wanted
    if not missing and not (other and wanted):
        return
    lacks = f"it has no {', '.join(missing)}" if missing else "their layers are not the same"
    if other:
        text = f"this file is {described(found, model, there)}, not {Path(model).name}; {lacks}"
        raise ValueError(f"{file}: {text}")
    raise ValueError(
        f"{file}: {lacks}, which {Path(model).name} has: they would be zero, and every pixel the "
        "same class. Is it of this net?"
    )
