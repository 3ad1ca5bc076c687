"""`python -m data.prepare NAME`: from what data.fetch brought to what the data layers read.

Derives the split lists the nets are trained and scored on and holds them against the sums of the
published ones; where a source differs this is said, and what the user has is used.
"""

import argparse
import hashlib
import sys
from pathlib import Path

import h5py
import numpy as np
import scipy.io
from PIL import Image
from tqdm import tqdm

from data import FOLDER, SETS, DataError, run

# Split -> (number of ids, SHA-256 of the sorted ids joined by newlines), as published
SUMS = {
    "seg11valid": (736, "33d3d44294e02741ecd3877459009a5d5f937069edde1a441bfcd5f38029d59b"),
    "nyud train": (381, "f29b0c2b58cf299122545e85882bcdf2195d119f1916035e5bc2e44b933c65ba"),
    "nyud val": (414, "140f799a3016db886c71c2038472ebbd5e3c4a743ecfc9556ebe7108c29865eb"),
    "nyud test": (654, "0b128b3a51a20438c2d0c742c5ad2be5f8be358d59b097f79722e8c7c15449f3"),
    "siftflow test": (200, "772854924eb149c3c9f4c3e7d99a332bf032af5847ac18159ae40f67c4ae5896"),
    "siftflow trainval": (
        2486,
        "646d97910f15f0c014835f7b01c7a908441e6d280c3aae09dfc20f3d54cd34c6",
    ),
}
SCENES = "spatial_envelope_256x256_static_8outdoorcategories"
UNLABELLED = {"highway_bost181", "street_urb506"}  # SIFT Flow's two pictures without annotation
MAPPINGS = "classMapping40.mat", "nyusplits.mat"  # Gupta et al.: 894 labels to 40; the splits


def digest(ids):
    return hashlib.sha256("\n".join(sorted(ids)).encode()).hexdigest()


def compare(split, ids):
    """Print whether these are the published ids."""
    count, expected = SUMS[split]
    if digest(ids) == expected:
        print(f"{split}: {len(ids)} ids, as published")
    else:
        print(f"{split}: {len(ids)} ids, NOT the {count} published; scores will not compare")


def read_ids(path):
    if not path.is_file():
        raise DataError(f"no list {path.absolute()}: run python -m data.fetch first")
    return path.read_text().split()


def write_ids(path, ids):
    path.write_text("".join(f"{id}\n" for id in ids))
    print(f"wrote {path}")


def need(folder, name):
    if not folder.is_dir():
        text = f"no folder {folder.absolute()}: python -m data.fetch {name}"
        raise DataError(f"{text} brings it; see data/{name}/README.md")


def voc(folder):
    """seg11valid: what VOC2011 labels for validation and SBD does not train on."""
    sbd = folder / "sbdd/dataset"
    need(sbd, "voc")
    train = set(read_ids(sbd / "train.txt"))
    pascal = folder / "pascal"
    tree = pascal / "VOC2011"
    if not tree.exists() and (pascal / "VOC2012").is_dir():
        tree.symlink_to("VOC2012")  # it contains VOC2011's pictures under the same names
        print(f"{tree} is not there: VOC2012 stands in for it")
    need(tree, "voc")
    lists = tree / "ImageSets/Segmentation"
    ids = [id for id in read_ids(lists / "val.txt") if id not in train]
    if tree.is_symlink():  # VOC2012 labels more; SBD covers VOC2011 as a whole
        known = set(read_ids(sbd / "val.txt"))
        ids = [id for id in ids if id in known]
    compare("seg11valid", ids)
    # for the data layer; where the original keeps it; and under the name its scripts ask for
    for path in (lists / "seg11valid.txt", pascal / "seg11valid.txt", folder / "segvalid11.txt"):
        write_ids(path, ids)


def nyud(folder, downloads=None):
    """The prepared archive's lists, else everything from the published .mat files."""
    root = folder / "nyud"
    downloads = downloads or folder / "downloads"
    labelled = downloads / "nyu_depth_v2_labeled.mat"
    begun = labelled.is_file() and not (root / "test.txt").is_file()  # lists are written last
    if begun or not (root / "segmentation").is_dir():
        if not labelled.is_file():
            raise DataError(
                f"neither {root.absolute()}/segmentation nor {labelled.absolute()} is there: "
                "see data/nyud/README.md"
            )
        nyud_from_mat(root, labelled, *(downloads / file for file in MAPPINGS))
    for split in ("train", "val", "test"):
        compare(f"nyud {split}", read_ids(root / f"{split}.txt"))
    if not (root / "trainval.txt").is_file():
        ids = read_ids(root / "train.txt") + read_ids(root / "val.txt")
        write_ids(root / "trainval.txt", sorted(ids))


def nyud_from_mat(root, labelled, mapping, splits):
    """Colour, depth in millimetres and the 40 classes from NYUDv2's .mat, cropped as Gupta et al.

    HHA is not made: it comes with the prepared archive or from their code.
    """
    for path in (mapping, splits):
        if not path.is_file():
            raise DataError(f"no {path.absolute()}: see data/nyud/README.md")
    classes = np.concatenate([[0], scipy.io.loadmat(mapping)["mapClass"].ravel()]).astype(np.uint8)
    lists = scipy.io.loadmat(splits)
    for folder in ("data/images", "data/depth", "segmentation"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    with h5py.File(labelled) as content:  # MATLAB 7.3: axes reversed, N x (3 x) W x H
        for i in tqdm(range(len(content["labels"])), desc="nyud", unit=""):
            name = f"img_{5001 + i}"
            image = content["images"][i].transpose(2, 1, 0)[45:470, 40:600]
            depth = content["depths"][i].T[45:470, 40:600] * 1000  # metres, filled in
            label = content["labels"][i].T[45:470, 40:600]
            if label.max() >= len(classes):
                raise DataError(f"{labelled}: {name} has label {label.max()}, not in {mapping}")
            Image.fromarray(np.ascontiguousarray(image)).save(root / f"data/images/{name}.png")
            millimetres = Image.fromarray(np.round(depth).astype(np.uint16))
            millimetres.save(root / f"data/depth/{name}.png")
            values = {"segmentation": classes[label]}
            scipy.io.savemat(root / f"segmentation/{name}.mat", values, do_compression=True)
    for split, key in (("train", "train"), ("val", "val"), ("test", "test")):
        if key not in lists:
            raise DataError(f"{splits} has no list {key!r}")
        write_ids(root / f"{split}.txt", [str(int(id)) for id in np.sort(lists[key].ravel())])


def siftflow(folder):
    """test: the archive's own list; trainval: all other pictures that have annotation."""
    root = folder / "sift-flow"
    need(root / "Images" / SCENES, "siftflow")
    ids = sorted(path.stem for path in (root / "Images" / SCENES).glob("*.jpg"))
    test = siftflow_test(root, set(ids))
    trainval = [id for id in ids if id not in test and id not in UNLABELLED]
    for split, chosen in (("test", sorted(test)), ("trainval", trainval)):
        compare(f"siftflow {split}", chosen)
        write_ids(root / f"{split}.txt", chosen)


def siftflow_test(root, ids):
    """The ids of the list of test pictures, found by its content: names with folders, any slash."""
    lists = {}
    for path in sorted(root.rglob("*.txt")):
        lines = path.read_text(errors="replace").replace("\\", "/").splitlines()
        names = {line.strip().split("/")[-1].removesuffix(".jpg") for line in lines if line.strip()}
        if names and names <= ids:
            lists[path] = names
    for names in lists.values():
        if digest(names) == SUMS["siftflow test"][1]:
            return names
    for path, names in lists.items():
        if "test" in path.name.lower():
            return names
    raise DataError(f"no list of test pictures among the .txt files of {root.absolute()}")


def pascalcontext(folder):
    """VOC2010's own lists are used; the lists of labels are put where the data layer looks."""
    need(folder / "pascal/VOC2010", "pascalcontext")
    root = folder / "pascal-context"
    need(root / "trainval", "pascalcontext")
    for file in ("labels.txt", "59_labels.txt"):
        if not (root / file).is_file():
            elsewhere = sorted(root.rglob(file))
            if not elsewhere:
                raise DataError(f"no {root.absolute()}/{file}: see data/pascalcontext/README.md")
            (root / file).write_bytes(elsewhere[0].read_bytes())
    for split, expected in (("train", 4998), ("val", 5105)):
        path = folder / f"pascal/VOC2010/ImageSets/Main/{split}.txt"
        ids = read_ids(path)
        told = "as published" if len(ids) == expected else f"NOT the {expected} published"
        print(f"{split}: {len(ids)} ids, {told}")


PREPARE = {"voc": voc, "nyud": nyud, "siftflow": siftflow, "pascalcontext": pascalcontext}


def main(argv=None):
    parser = argparse.ArgumentParser(prog="python -m data.prepare", description=__doc__)
    parser.add_argument("name", choices=SETS, help="the data set")
    parser.add_argument("--to", type=Path, default=FOLDER, help="default: %(default)s")
    args = parser.parse_args(argv)
    PREPARE[args.name](args.to)
    print(f"next: python -m data.check {args.name}")


if __name__ == "__main__":
    sys.exit(run(main, None))
