"""All data sets by name, and the data layers that read those that are on disk."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from fcn import places
from fcn.datasets import nyud, pascalcontext, sample, siftflow, voc
from fcn.datasets.data_layer import SegDataLayer
from fcn.datasets.dataset import DataError, Dataset, Tree

PUBLISHED = {
    dataset.name: dataset
    for dataset in (voc.VOC, nyud.NYUD, siftflow.SIFTFLOW, pascalcontext.PASCALCONTEXT)
}
DATASETS = PUBLISHED | {sample.SAMPLE.name: sample.SAMPLE}


def named(name: str, among: Mapping[str, Dataset] = DATASETS) -> Dataset:
    """The data set of that name; ValueError, which says which there are."""
    if name not in among:
        raise ValueError(f"no data set {name!r}: there are {', '.join(among)}")
    return among[name]


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
