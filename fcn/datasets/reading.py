"""Finds the trees of a data set on disk and gives data layers to read them with, outside of any net."""

from pathlib import Path

from . import DATASETS
from .layer import SegDataLayer
from .nyud import NYUDSegDataLayer
from .record import DATA, DataError, Tree


def find(tree: Tree, folder: str | Path | None = None) -> dict[str, str] | None:
    """The folders of a tree as keys of param_str: below `folder` as below data/, or itself one.

    None where there is none of them; DataError where some are there and others are not.
    """
    folder = Path(folder or DATA)
    found, looked = {}, []
    for key, (place, inside) in tree.folders.items():
        places = [folder / place, folder / Path(place).name, folder]
        looked += places
        here = [path for path in places if (path / inside).is_dir()]
        if here:
            found[key] = str(here[0])
    if not found:
        return None
    if len(found) < len(tree.folders):
        missing = ", ".join(tree.folders[key][0] for key in tree.folders.keys() - found.keys())
        raise DataError(f"no folder {missing} below {folder.absolute()}")
    return found


def readers(name: str, folder: str | Path | None = None) -> list[tuple[Tree, str, SegDataLayer]]:
    """(tree, split, data layer to read it with) of every split of a set that is on disk.

    DataError where none is, telling the folders looked for.
    """
    result = []
    for tree in DATASETS[name].trees:
        folders = find(tree, folder)
        if folders is None:
            continue
        for split in tree.splits:
            params = {**tree.params, **folders, "split": split}
            if tree.layer is NYUDSegDataLayer:
                root = Path(folders["nyud_dir"])
                params["tops"] = ["color", "label"]
                params["tops"] += [t for t in ("depth", "hha") if (root / "data" / t).is_dir()]
            result.append((tree, split, tree.layer.reader(**params)))
    if not result:
        places = [place for tree in DATASETS[name].trees for place, _ in tree.folders.values()]
        at = Path(folder or DATA).absolute()
        how = "fcn data sample" if name == "sample" else f"see data/{name}/README.md"
        raise DataError(f"{name} is not below {at} (looked for {', '.join(places)}): {how}")
    return result
