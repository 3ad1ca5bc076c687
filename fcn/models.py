"""Finds a model's folder and its prototxts by the name given on a command line.

A net is named by its model folder (`voc-fcn8s`, or any path to one); the classification nets, which
share a folder, are named `ilsvrc-nets/vgg16` and so on.
"""

import difflib
import shutil
from pathlib import Path

from fcn import places

CLASSIFIERS = "ilsvrc-nets"
STEMS = ("val", "test", "deploy")  # of the prototxts that a model is scored with, or else read from


def model_name(name: str) -> str:
    """The name that a model goes by: its folder's name if the project has it, else its path.

    `voc-fcn8s`, `voc-fcn8s/` and any path to that folder are the same model. Raises
    FileNotFoundError, which suggests the most similar name, if there is no such folder.
    """
    for path in (Path(name).resolve(), places.HOME / name, places.ROOT / name):
        folder = path.resolve()
        if folder.is_dir() and folder not in (places.HOME, places.ROOT):
            ours = folder.parent in (places.HOME, places.ROOT)
            return folder.name if ours else str(folder)
    known = sorted(path.parent.name for path in places.ROOT.glob("*-fcn*/net.py"))
    near = difflib.get_close_matches(str(name), known, 1, 0)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise FileNotFoundError(f"no model folder {places.HOME / name}{hint}")


def folder(net: str, sample: bool = False) -> Path:
    """The folder that describes a net; `sample` asks for its form of the embedded task.

    The first of these that exists: the path itself, which may be relative to the working directory;
    the folder of that name in a checkout; the one in the installed package. ValueError for a model
    that has no form of the embedded task.

    >>> folder("ilsvrc-nets/vgg16-fcn").name
    'ilsvrc-nets'
    """
    name = folder_name(net)
    places_to_look = (Path.cwd() / name, places.HOME / name, places.ROOT / name)
    found = next((path for path in places_to_look if path.is_dir()), places.HOME / name)
    if sample and found.is_dir() and not (found / "sample").is_dir():
        raise ValueError(
            f"{net} has no form of the embedded task, so --sample (sample=) is not for it; "
            "voc-fcn32s, voc-fcn16s and voc-fcn8s have one"
        )
    return found / "sample" if sample else found


def folder_name(net: str) -> str:
    """The name, or the path, of the folder that a net is in."""
    return CLASSIFIERS if net.startswith(f"{CLASSIFIERS}/") else net


def own_folder(net: str, sample: bool = False) -> Path:
    """The folder that a net's weights and snapshots belong to. It need not exist.

    That is the net's own folder, unless it is inside of the installed package: then it is the
    folder of that name in the working directory.
    """
    found = folder(net, sample)
    if places.INSTALLED and found.is_relative_to(places.ROOT):
        return places.HOME / found.relative_to(places.ROOT)
    return found


def writable(path: Path) -> Path:
    """The model folder `path`, or a copy in the working directory if it is in the installed package.

    Training writes beside the prototxts, so it runs in this folder.
    """
    if not (places.INSTALLED and path.is_relative_to(places.ROOT)):
        return path
    copy = places.HOME / path.relative_to(places.ROOT)
    if not copy.exists():
        shutil.copytree(path, copy)
        print(f"copied {path} to {copy}")
    return copy


def prototxt_of(net: str, sample: bool = False) -> Path:
    """The prototxt that describes a net; of a model, the one that it is scored with.

    Raises FileNotFoundError that lists the paths that were tried.
    """
    name = Path(net).name
    paths = [folder(net, sample) / f"{stem}.prototxt" for stem in (name, *STEMS)]
    for path in paths:
        if path.is_file():
            return path
    tried = "\n".join(f"  {path}" for path in paths)
    raise FileNotFoundError(f"no prototxt of {net}; looked for\n{tried}")
