"""Finds the caffemodel that holds a net's weights, under all the names it goes by."""

import hashlib
import os
from pathlib import Path

from fcn import models

# Net -> the published file, then the names of older editions (2015, as gists) and those that the
# original scripts ask for. Paths are relative to the net's folder.
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


def candidates(net: str, sample: bool = False) -> list[Path]:
    """Every path that may hold the net's weights, existing or not, the preferred one first.

    The user's snapshots come first, the newest before the older, then the published names. Nets of
    the embedded task (`sample`) are not published.
    """
    folder = models.own_folder(net, sample)
    name = Path(net).name
    snapshots = []
    if not net.startswith(f"{models.CLASSIFIERS}/"):
        found = folder.glob("snapshot/train_iter_*.caffemodel*")
        snapshots = sorted(found, key=iteration, reverse=True)
        snapshots = snapshots or [folder / "snapshot" / "train_iter_N.caffemodel"]
    names = [f"{name}.caffemodel"] if sample else NAMES.get(net, []) + [f"{name}.caffemodel"]
    return snapshots + [Path(os.path.normpath(folder / n)) for n in dict.fromkeys(names)]


def iteration(snapshot: Path | str) -> int:
    """The number in `train_iter_4000.caffemodel`; -1 if there is none."""
    digits = Path(snapshot).name.split(".")[0].rpartition("_")[2]
    return int(digits) if digits.isdigit() else -1


def find(net: str, sample: bool = False) -> Path:
    """The net's weights: the first candidate that exists. Its checksum is printed if one is known.

    Raises FileNotFoundError that lists every path looked for and says how to get the file.
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


def given_or_found(path: Path | None, net: str, sample: bool = False) -> Path:
    """The file given on a command line, which must exist, or the one found by name."""
    if path is None:
        return find(net, sample)
    if not path.is_file():
        how = how_to_get(net, sample)
        raise FileNotFoundError(f"no weights file {path.absolute()}\n{how}")
    check(path)
    return path.resolve()


def check(path: Path) -> None:
    """Print whether a file of a published name has the published sha1; nothing for other names."""
    wanted = SHA1.get(Path(path).name)
    if wanted is None:
        return
    digest = sha1_of(path)
    if digest == wanted:
        print(f"{path}: sha1 {wanted}, as published")
    else:
        print(f"warning: {path}: sha1 is {digest}, the published file's is {wanted}")


def sha1_of(path: Path) -> str:
    """The sha1 of a file, in hexadecimal."""
    digest = hashlib.sha1()
    with open(path, "rb") as file:
        while chunk := file.read(1 << 22):
            digest.update(chunk)
    return digest.hexdigest()


def how_to_get(net: str, sample: bool = False) -> str:
    """A sentence: the command that makes the weights, or where they are published."""
    flag = " --sample" if sample else ""
    if net in ("ilsvrc-nets/vgg16", "ilsvrc-nets/alexnet"):
        readme = "see ilsvrc-nets/README.md for where it is published"
        return f"make it: python ilsvrc-nets/solve.py{flag}" if sample else readme
    if net.startswith("ilsvrc-nets/"):
        model = "" if sample or net.endswith("vgg16-fcn") else " --model alexnet"
        return f"make it: python ilsvrc-nets/convert.py{model}{flag} (see ilsvrc-nets/README.md)"
    train = f"train it: fcn train {net}{flag} (see README.md)"
    url = models.folder(net) / "caffemodel-url"
    if sample or not url.is_file():
        return train
    return f"{train}\nor put the published file there: {url.read_text().strip()}"
