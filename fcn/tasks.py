"""The tasks that nets are built for: a data set, and how body and loss differ from the published.

A published model's task follows from its folder's name. Any other folder's is its own: the classes
that classes.txt lists, there or in the folder above, and the data that its prototxts read.
"""

from functools import partial
from pathlib import Path
from typing import Any

import caffe
from fcn import models, places, prototxts, weights
from fcn.datasets import nyud, pascalcontext, sample, siftflow, voc
from fcn.datasets.dataset import Dataset, Task, add_python_layer, read_names
from fcn.datasets.folder import CLASSES
from fcn.prototxts import NetParameter
from fcn.solver_settings import loss_is_a_mean

__all__ = ["BY_NAME", "CLASSES", "SAMPLE", "Task", "class_list", "task_of"]

VOC = Task(voc.VOC)
NYUD = Task(nyud.NYUD)
SIFTFLOW = Task(siftflow.SIFTFLOW)
PASCALCONTEXT = Task(pascalcontext.PASCALCONTEXT)
# The net is small and the pictures are many, so it learns from random weights in minutes: an eighth
# of the width, no Dropout, and fc6 4x4, the smallest with which every stride takes every size. Raw
# pixels are about 60 times as large as any later blob, so the rate of the first convolution is 60
# squared times smaller.
SAMPLE = Task(
    sample.SAMPLE, body=dict(narrow=8, fc6=4, drop=0, first_rate=1 / 3600), normalize=True
)

# The nets in systems/NAME/ lie a folder deeper, and so farther from data/.
SYSTEM_VOC = Task(VOC.dataset, place=dict(data="../../data"))
SYSTEM_SAMPLE = Task(SAMPLE.dataset, SAMPLE.body, SAMPLE.normalize, dict(data="../../../data"))
BY_NAME = {
    "voc": VOC,
    "nyud": NYUD,
    "siftflow": SIFTFLOW,
    "pascalcontext": PASCALCONTEXT,
    models.SYSTEMS: SYSTEM_VOC,
}
GEO_CLASSES = "geo_classes.txt"  # beside a user's own classes.txt, for a second labelling


def task_of(model: str, embedded: bool = False) -> Task:
    """The task of a model folder, by its name or path; or the embedded task.

    ValueError for a folder that is neither published nor has a list of classes, and for a list that
    has not as many names as the net has scores.

    >>> task_of("nyud-fcn32s-hha").classes
    40
    """
    if embedded:
        return SAMPLE
    folder = models.folder(model)
    listed = class_list(folder)
    if listed:
        return own_task(folder, listed)
    if not is_published(folder):
        raise ValueError(
            f"model {model!r} is none of the published ones, and there is no {CLASSES} in "
            f"{folder.absolute()} or in the folder above: write the names of its classes there, one "
            "a line, class 0 first"
        )
    name = models.short_name(folder)
    task = BY_NAME[name.partition("/" if name.startswith(models.SYSTEMS) else "-")[0]]
    if folder.absolute() != places.ROOT / name:  # a copy, which may have been changed
        for net in prototxts.nets_of(folder).values():
            check_count(net, task.dataset, folder, f"the data set {task.dataset.name}")
    return task


def is_published(folder: Path) -> bool:
    """Whether a folder has the name of a published model."""
    return models.short_name(folder) in weights.NAMES


def class_list(folder: Path) -> Path | None:
    """The list of classes of a user's own model folder, in it or in the one above; None without one.

    A folder with the name of a published model is a user's own only if the list is in it.
    """
    above = () if is_published(folder) else (folder.absolute().parent,)
    return next((p / CLASSES for p in (folder, *above) if (p / CLASSES).is_file()), None)


def own_task(folder: Path, listed: Path) -> Task:
    """The task of a user's own folder, whose classes are listed in the file `listed`."""
    nets = prototxts.nets_of(folder)
    layers = [each for net in nets.values() for each in prototxts.data_layers(net)]
    scored = {
        score: label for net in nets.values() for score, label in prototxts.scored(net).items()
    }
    geo = listed.with_name(GEO_CLASSES)
    dataset = Dataset(
        name=folder.absolute().name,
        classes=read_names(listed),
        mean=next((mean for _, params in layers if (mean := mean_in(params))), ()),
        nets={stem: split_of(net) for stem, net in nets.items()},
        add_data_layer=partial(add_layer_of, layers),
        trees=(),
        how_to_get=f"{folder / 'net.py'} names its folders",
        geo_classes=read_names(geo) if geo.is_file() else (),
        scored=scored or {"score": "label"},
    )
    for net in nets.values():
        check_count(net, dataset, folder, str(listed))
    return Task(dataset, normalize=all(map(loss_is_a_mean, nets.values())))


def mean_in(params: dict[str, Any]) -> tuple[float, ...]:
    """The mean that a param_str states, BGR; () if it states none."""
    mean = params.get("mean", ())
    return (mean,) * 3 if isinstance(mean, int | float) else tuple(mean)


def split_of(net: NetParameter) -> str:
    """The split that a net reads; "" if its data layer names none."""
    return next((str(p["split"]) for _, p in prototxts.data_layers(net) if "split" in p), "")


def add_layer_of(layers: list[tuple[Any, dict]], n: caffe.NetSpec, split: str) -> None:
    """Add the data layer that reads a split, one of `layers`, to a NetSpec."""
    for layer, params in layers:
        if params.get("split") == split:
            python = layer.python_param
            add_python_layer(n, list(layer.top), python.module, python.layer, params)
            return
    raise ValueError(f"no data layer reads the split {split!r}")


def check_count(net: NetParameter, dataset: Dataset, folder: Path, source: str) -> None:
    """ValueError if a net has not as many scores as there are names of classes in their `source`."""
    read = {bottom for layer in net.layer for bottom in layer.bottom}
    last = [top for layer in net.layer for top in layer.top if top not in read]
    for blob in prototxts.scored(net) or last:
        outputs, names = prototxts.outputs_of(net, blob), dataset.names_of(blob)
        if outputs and names and outputs != len(names):
            raise ValueError(
                f"{source} has {len(names)} classes, but blob {blob!r} of the net in {folder} has "
                f"{outputs} channels: state as many names in {folder / CLASSES}, class 0 first, or "
                f"num_output: {len(names)} in the layers of the scores"
            )
