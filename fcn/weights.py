"""Which files hold a net's weights, under all the names they go by."""

import difflib
import hashlib
import os
from pathlib import Path

from .places import INSTALLED, ROOT, WORK

MISSING = 2  # every command's exit code if a weights file, data set or split is not there

# The published files of each net, then the names of older editions (2015, as gists) and, beside the
# model's folder or elsewhere, those that the original's scripts ask for.
NAMES = {
    "ilsvrc-nets/vgg16": ["VGG_ILSVRC_16_layers.caffemodel"],
    "ilsvrc-nets/alexnet": ["bvlc_reference_caffenet.caffemodel"],
    "ilsvrc-nets/vgg16-fcn": [
        "vgg16-fcn.caffemodel",
        "vgg16fc.caffemodel",
        "../vgg16fc.caffemodel",
    ],
    "ilsvrc-nets/alexnet-fcn": ["alexnet-fcn.caffemodel"],
    "voc-fcn32s": ["fcn32s-heavy-pascal.caffemodel", "fcn-32s-pascal.caffemodel"],
    "voc-fcn16s": ["fcn16s-heavy-pascal.caffemodel", "fcn-16s-pascal.caffemodel"],
    "voc-fcn8s": ["fcn8s-heavy-pascal.caffemodel", "fcn-8s-pascal.caffemodel"],
    "voc-fcn8s-atonce": ["fcn8s-atonce-pascal.caffemodel"],
    "voc-fcn-alexnet": ["fcn-alexnet-pascal.caffemodel"],
    "nyud-fcn32s-color": [
        "nyud-fcn32s-color-heavy.caffemodel",
        "nyud-rgb-32s-28k.caffemodel",
        "../nyud-rgb-32s/nyud-rgb-32s-28k.caffemodel",
    ],
    "nyud-fcn32s-hha": [
        "nyud-fcn32s-hha-heavy.caffemodel",
        "nyud-hha-32s-60k.caffemodel",
        "../nyud-hha-32s/nyud-hha-32s-60k.caffemodel",
    ],
    "nyud-fcn32s-color-hha": ["nyud-fcn32s-color-hha-heavy.caffemodel"],
    "siftflow-fcn32s": ["siftflow-fcn32s-heavy.caffemodel"],
    "siftflow-fcn16s": ["siftflow-fcn16s-heavy.caffemodel"],
    "siftflow-fcn8s": ["siftflow-fcn8s-heavy.caffemodel"],
    "pascalcontext-fcn32s": [
        "pascalcontext-fcn32s-heavy.caffemodel",
        "fcn-32s-pascalcontext.caffemodel",
    ],
    "pascalcontext-fcn16s": [
        "pascalcontext-fcn16s-heavy.caffemodel",
        "fcn-16s-pascalcontext.caffemodel",
    ],
    "pascalcontext-fcn8s": [
        "pascalcontext-fcn8s-heavy.caffemodel",
        "fcn-8s-pascalcontext.caffemodel",
    ],
}

SHA1 = {
    "VGG_ILSVRC_16_layers.caffemodel": "9363e1f6d65f7dba68c4f27a1e62105cdf6c4e24",
    "bvlc_reference_caffenet.caffemodel": "4c8d77deb20ea792f84eb5e6d0a11ca0a8660a46",
    "fcn32s-heavy-pascal.caffemodel": "05eb922d7829c39448f57e5ab9d8cd75d6c0be6d",
    "fcn8s-heavy-pascal.caffemodel": "c449ea74dd7d83751d1357d6a8c323fcf4038962",
    "fcn-32s-pascal.caffemodel": "9ef2dbc22768bd562ba5eec2ad6cae3f499141d0",
    "fcn-32s-pascalcontext.caffemodel": "adbbd504c280e2b8966fc32e32ada2a2ecf13603",
    "fcn-8s-pascalcontext.caffemodel": "591e7d8bbc1c55ff151b6984bde85ff5160aee31",
}


def model(name):
    """The model that a command line names: `voc-fcn8s`, `voc-fcn8s/` and any path to it are one.

    Raises FileNotFoundError if there is no such folder, telling the nearest one there is.
    """
    for folder in (*(base / name for base in _bases()), Path(name)):
        folder = folder.resolve()
        if folder.is_dir() and folder not in _bases():
            inside = [base for base in _bases() if folder.is_relative_to(base)]
            return str(folder.relative_to(inside[0]) if inside else folder)
    known = sorted(path.parent.name for path in ROOT.glob("*-fcn*/net.py"))
    near = difflib.get_close_matches(str(name), known, 1, 0)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise FileNotFoundError(f"no model folder {ROOT / name}{hint}")


def _bases():
    """The folders below which model folders lie; those of the working directory come first."""
    return [WORK, ROOT] if INSTALLED else [ROOT]


def folder_of(net, sample=False):
    """The folder that holds the net's files; net is a name such as `voc-fcn8s`, or a path.

    >>> folder_of("ilsvrc-nets/vgg16-fcn").name
    'ilsvrc-nets'
    """
    inside = Path(net).parent if str(net).startswith("ilsvrc-nets/") else Path(net)
    places = [base / inside for base in _bases()]
    folder = next(filter(Path.is_dir, places), places[-1])
    return folder / "sample" if sample else folder


def prototxt_of(net, sample=False):
    """The prototxt that describes a net: of a model, the one it is scored with."""
    folder, name = folder_of(net, sample), Path(net).name
    paths = [folder / f"{stem}.prototxt" for stem in (name, "val", "test", "deploy")]
    for path in paths:
        if path.is_file():
            return path
    looked = "\n".join(f"  {path}" for path in paths)
    raise FileNotFoundError(f"no prototxt of {net}; looked for\n{looked}")


def candidates(net, sample=False):
    """Every file that could hold the net's weights, existing or not, the preferred one first.

    Own snapshots come first, the newest before the older, then the published names. `--sample`
    nets are never published: only what was trained here will do.
    """
    folder = folder_of(net, sample)
    name = Path(net).name
    snapshots = []
    if not net.startswith("ilsvrc-nets/"):
        found = folder.glob("snapshot/train_iter_*.caffemodel*")
        snapshots = sorted(found, key=iteration, reverse=True)
        snapshots = snapshots or [folder / "snapshot" / "train_iter_N.caffemodel"]
    names = [f"{name}.caffemodel"] if sample else NAMES.get(net, []) + [f"{name}.caffemodel"]
    return snapshots + [Path(os.path.normpath(folder / n)) for n in dict.fromkeys(names)]


def iteration(snapshot):
    """The number in `train_iter_4000.caffemodel`; -1 if there is none."""
    digits = Path(snapshot).name.split(".")[0].rpartition("_")[2]
    return int(digits) if digits.isdigit() else -1


def find(net, sample=False):
    """The net's weights: the first existing candidate, checked against its sha1 if one is known.

    Raises FileNotFoundError naming every path looked for and how to get the file.
    """
    paths = candidates(net, sample)
    for path in paths:
        if path.is_file():
            check(path)
            return path
    looked = "\n".join(f"  {path}" for path in paths)
    raise FileNotFoundError(
        f"no weights for {net}; looked for\n{looked}\n{how_to_get(net, sample)}"
    )


def given_or_found(path, net, sample=False):
    """The file given on a command line, which must be there, or the one found by name."""
    if path is None:
        return find(net, sample)
    if not path.is_file():
        how = how_to_get(net, sample)
        raise FileNotFoundError(f"no weights file {path.absolute()}\n{how}")
    check(path)
    return path.resolve()


def check(path):
    """Say whether a file of a published name has the published sha1; other names are not judged."""
    wanted = SHA1.get(Path(path).name)
    if wanted is None:
        return
    digest = sha1_of(path)
    if digest == wanted:
        print(f"{path}: sha1 {wanted}, as published")
    else:
        print(f"warning: {path}: sha1 is {digest}, the published file's is {wanted}")


def sha1_of(path):
    """The sha1 of a file, in hexadecimal."""
    digest = hashlib.sha1()
    with open(path, "rb") as file:
        while chunk := file.read(1 << 22):
            digest.update(chunk)
    return digest.hexdigest()


def how_to_get(net, sample=False):
    """A sentence: the command that makes the weights, or where they are published."""
    flag = " --sample" if sample else ""
    if net in ("ilsvrc-nets/vgg16", "ilsvrc-nets/alexnet"):
        readme = "see ilsvrc-nets/README.md for where it is published"
        return f"make it: python ilsvrc-nets/solve.py{flag}" if sample else readme
    if net.startswith("ilsvrc-nets/"):
        model = "" if sample or net.endswith("vgg16-fcn") else " --model alexnet"
        return f"make it: python ilsvrc-nets/convert.py{model}{flag} (see ilsvrc-nets/README.md)"
    train = f"train it: python {net}/solve.py{flag} (see README.md)"
    url = ROOT / net / "caffemodel-url"
    if sample or not url.is_file():
        return train
    return f"{train}\nor put the published file there: {url.read_text().strip()}"
