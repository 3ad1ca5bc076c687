"""Finds a model's folder and its prototxts by the name given on a command line.

A net is named by its model folder (`voc-fcn8s`, `systems/dilation`, or any path to one); the
classification nets, which share a folder, are named `ilsvrc-nets/vgg16` and so on.
"""

import difflib
import shutil
from pathlib import Path

from fcn import places

CLASSIFIERS = "ilsvrc-nets"
SYSTEMS = "systems"  # holds the model folders of what grew out of FCN
STEMS = ("val", "test", "deploy")  # of the prototxts that a model is scored with, or else read from


def model_name(name: str) -> str:
    """The name that a model goes by: its folder's name if the project has it, else its path.

    `voc-fcn8s`, `voc-fcn8s/` and any path to that folder are the same model. Raises
    FileNotFoundError, which suggests the most similar name, if there is no such folder.
    """
    roots = (places.HOME, places.ROOT)
    there = [path.resolve() for path in places_of(name)]
    folder = first_model([path for path in there if path.is_dir() and path not in roots])
    if folder is not None:
        ours = folder.parent in roots or folder.parent in [root / SYSTEMS for root in roots]
        return short_name(folder) if ours else str(folder)
    if str(name).endswith(".prototxt"):
        raise FileNotFoundError(f"no prototxt {Path(name).absolute()}")
    own = [path.name for path in Path.cwd().iterdir() if path.is_dir() and is_model(path)]
    known = [*own, *known_models(), *(short_name(path) for path in system_folders())]
    near = difflib.get_close_matches(str(name), known, 1, 0)
    hint = f"; did you mean {near[0]}?" if near else ""
    looked = " nor in ".join(dict.fromkeys(map(str, (Path.cwd(), places.HOME))))
    raise FileNotFoundError(f"no model folder {name} in {looked}{hint}")


def places_of(name: str) -> list[Path]:
    """Where a model folder of that name may be, the first place first."""
    return [Path.cwd() / name, places.HOME / name, places.ROOT / name]


def is_model(folder: Path) -> bool:
    """Whether a folder holds a net's files."""
    return (folder / "solve.py").is_file() or any(folder.glob("*.prototxt"))


def first_model(folders: list[Path]) -> Path | None:
    """The first folder that holds a net's files, else the first: an empty one hides no model of its name."""
    return next(filter(is_model, folders), folders[0] if folders else None)


def no_model(folder: Path, lacks: str = "solve.py") -> FileNotFoundError:
    """The error for a folder that is no model's, naming those in it that are."""
    inner = [path.name for path in sorted(folder.iterdir()) if path.is_dir() and is_model(path)]
    hint = f"; name one of those in it: {', '.join(inner)}" if inner else ""
    return FileNotFoundError(f"{folder} is no model folder: it has no {lacks}{hint}")


def short_name(folder: Path) -> str:
    """A model folder's name; of a system's, with the folder that it is in.

    >>> short_name(Path("/work/systems/dilation")), short_name(Path("/work/voc-fcn8s"))
    ('systems/dilation', 'voc-fcn8s')
    """
    folder = folder.absolute()
    return f"{SYSTEMS}/{folder.name}" if folder.parent.name == SYSTEMS else folder.name


def known_models() -> list[str]:
    """The names of the published FCNs."""
    return sorted(path.parent.name for path in places.ROOT.glob("*-fcn*/net.py"))


def system_folders() -> list[Path]:
    """The model folders of the systems that grew out of FCN."""
    return sorted(path.parent for path in places.ROOT.glob(f"{SYSTEMS}/*/solve.py"))


def folder(net: str, sample: bool = False) -> Path:
    """The folder that describes a net; `sample` asks for its form of the embedded task.

    The first of these that exists: the path itself, which may be relative to the working directory;
    the folder of that name in a checkout; the one in the installed package. ValueError for a model
    that has no form of the embedded task.

    >>> folder("ilsvrc-nets/vgg16-fcn").name
    'ilsvrc-nets'
    """
    name = folder_name(net)
    found = first_model([path for path in places_of(name) if path.is_dir()]) or places.HOME / name
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
