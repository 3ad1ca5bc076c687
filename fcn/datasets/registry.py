"""All data sets by name, or by a user's own model folder, and the data layers that read them."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from fcn import models, places, prototxts, tasks
from fcn.datasets import nyud, pascalcontext, sample, siftflow, voc
from fcn.datasets.data_layer import SegDataLayer
from fcn.datasets.dataset import DataError, Dataset, Tree
from fcn.datasets.folder import CLASSES

PUBLISHED = {
    dataset.name: dataset
    for dataset in (voc.VOC, nyud.NYUD, siftflow.SIFTFLOW, pascalcontext.PASCALCONTEXT)
}
DATASETS = PUBLISHED | {sample.SAMPLE.name: sample.SAMPLE}


def named(name: str, among: Mapping[str, Dataset] = DATASETS) -> Dataset:
    """The data set of that name, or of that folder; ValueError, which says which there are."""
    if name in among:
        return among[name]
    known = ", ".join(among)
    if among is not DATASETS:
        raise ValueError(f"no data set {name!r}: there are {known}")
    if own_folder(name) is None:
        raise ValueError(
            f"no data set {name!r}: there are {known}, and folders that hold a {CLASSES}"
        )
    return tasks.task_of(name).dataset


def own_folder(name: str) -> Path | None:
    """The user's own model folder of that name; None if there is none."""
    folder = models.folder(name)
    return folder if name not in DATASETS and tasks.class_list(folder) else None


class SplitReader(NamedTuple):
    """A split that is on disk, with the data layer that reads it."""

    split: str
    layer: SegDataLayer


def find_folders(tree: Tree, folder: Path | None = None) -> dict[str, str]:
    """The folders of a tree, by key of param_str; {} if none is there.

    `folder` may stand for the data folder, or be the tree's folder itself. DataError if some
    folders are there and others are not.
    """
    folder = Path(folder or places.data_folder())
    found = {}
    for key, (place, inside) in tree.folders.items():
        candidates = [folder / place, folder / Path(place).name, folder]
        existing = [path for path in candidates if (path / inside).is_dir()]
        if existing:
            found[key] = str(existing[0])
    if found and len(found) < len(tree.folders):
        missing = ", ".join(tree.folders[key][0] for key in tree.folders.keys() - found.keys())
        raise DataError(f"no folder {missing} below {folder.absolute()}")
    return found


def readers(name: str, folder: Path | None = None) -> list[SplitReader]:
    """A reader of every split of a data set that is on disk; the last one is of the scored split.

    DataError, which lists the folders looked for, if none is there.
    """
    own = own_folder(name)
    if own and folder:
        raise DataError(f"{own} states where its data is: leave {folder} out")
    if own:
        return own_readers(own)
    dataset, result = named(name), []
    for tree in dataset.trees:
        folders = find_folders(tree, folder)
        if not folders:
            continue
        params = {**tree.params, **folders, **tree.layer.params_on_disk(folders)}
        for split in tree.splits:
            result.append(SplitReader(split, tree.layer.reader(**params, split=split)))
    if not result:
        tried = [place for tree in dataset.trees for place, _ in tree.folders.values()]
        at = Path(folder or places.data_folder()).absolute()
        raise DataError(
            f"{name} is not below {at} (looked for {', '.join(tried)}): {dataset.how_to_get}"
        )
    return result


def own_readers(folder: Path) -> list[SplitReader]:
    """A reader of each split that the nets of a user's own folder read, or those of its first stage.

    DataError if it has no net whose data layers read pictures file by file.
    """
    for place in (folder, *sorted(path.parent for path in folder.glob("*/solver.prototxt"))):
        found: dict[str, SplitReader] = {}
        for net in prototxts.nets_of(place).values():
            for layer, params in prototxts.data_layers(net):
                kind = prototxts.layer_kind(layer)
                if issubclass(kind, SegDataLayer):
                    reader = kind.reader(**located(params, place))
                    found.setdefault(repr(params), SplitReader(reader.split, reader))
        if found:
            return list(found.values())
    raise DataError(f"no net in {folder} has a data layer that reads pictures and labels")


def located(params: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """A param_str whose folders, which are relative to a model's folder, hold in any."""
    return {
        key: os.path.normpath(folder.absolute() / value) if key.endswith("_dir") else value
        for key, value in params.items()
    }
