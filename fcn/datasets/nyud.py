"""NYUDv2 indoor scenes (Silberman et al.): colour, depth and HHA with the 40 classes of Gupta et al.

Labels 0 to 39, void 255; on disk 1 to 40 with 0 for void.
"""

from pathlib import Path
from typing import Any

import numpy as np
import scipy.io
from PIL import Image
from tqdm import tqdm

from .layer import SegDataLayer, centred
from .record import (
    DataError,
    Dataset,
    Source,
    Tree,
    compare,
    names,
    python_data,
    read_ids,
    write_ids,
)

CLASSES = names("nyud/classes.txt")
MEAN = (116.190, 97.203, 92.318)  # BGR
# (count, digest) of the published splits
SPLITS = {
    "train": (381, "f29b0c2b58cf299122545e85882bcdf2195d119f1916035e5bc2e44b933c65ba"),
    "val": (414, "140f799a3016db886c71c2038472ebbd5e3c4a743ecfc9556ebe7108c29865eb"),
    "test": (654, "0b128b3a51a20438c2d0c742c5ad2be5f8be358d59b097f79722e8c7c15449f3"),
}
MAPPINGS = "classMapping40.mat", "nyusplits.mat"  # Gupta et al.: 894 labels to 40; the splits

# A room's depth in millimetres has a median of metres, and the sensor sees ten of them: below, it is
# in metres or centimetres, above in tenths of millimetres or shifted bits.
MEDIAN_DEPTH = 400, 12000


class NYUDSegDataLayer(SegDataLayer):
    """Tops: those of color, depth, hha, label in `tops`. param_str: nyud_dir, split, tops; seed."""

    dataset = "nyud"
    required = ("nyud_dir", "split", "tops")
    classes = len(CLASSES)
    loaders = {
        "color": "load_image",
        "depth": "load_depth",
        "hha": "load_hha",
        "label": "load_label",
    }
    files = {
        "split": "{nyud_dir}/{split}.txt",
        "color": "{nyud_dir}/data/images/img_{id}.png",
        "depth": "{nyud_dir}/data/depth/img_{id}.png",
        "hha": "{nyud_dir}/data/hha/img_{id}.png",
        "label": "{nyud_dir}/segmentation/img_{id}.mat",
    }
    mean_bgr = np.array(MEAN)
    mean_hha = np.array((132.431, 94.076, 118.477))
    mean_logd = 7.844  # of the natural logarithm of millimetres

    def configure(self, params):
        listed = isinstance(self.tops, list | tuple)
        if not listed or not set(self.tops) <= self.loaders.keys():
            known = ", ".join(self.loaders)
            raise self.fail(ValueError, f"tops must be a list of {known}; got {self.tops!r}")
        self.tops = {top: self.loaders[top] for top in self.tops}
        if "hha" in self.tops:
            folder = self.path("hha", 0).parent
            if not folder.is_dir():
                raise self.missing(f"no HHA pictures: folder {folder.absolute()} is not there")

    def load_image(self, idx):
        """3 x H x W float32, BGR minus mean."""
        return self.bgr("color", idx, self.mean_bgr)

    def load_depth(self, idx):
        """1 x H x W float32: log of the depth in millimetres minus its mean. 16-bit PNG."""
        with self.opened("depth", idx) as image:
            depth = np.asarray(image)
        try:
            return log_depth(depth)
        except ValueError as error:
            text = f"{self.path('depth', idx)}: {error} ({self.readme()})"
            raise self.fail(ValueError, text) from None

    def load_hha(self, idx):
        """3 x H x W float32: disparity, height, angle in the order stored (no swap), minus mean."""
        return centred(self.pixels("hha", idx), self.mean_hha)

    def load_label(self, idx):
        """1 x H x W uint8: 0 to 39, void 255."""
        return self.rotated_label(self.mat("label", idx, "segmentation"), "label", idx)


def log_depth(depth):
    """H x W millimetres as 1 x H x W float32: the logarithm minus its mean.

    ValueError for what cannot be a room's depth in millimetres, or has no logarithm.
    """
    depth = np.asarray(depth, np.float32)
    if depth.ndim != 2:
        raise ValueError(f"depth has {depth.shape[-1]} channels, not one")
    if not depth.all():
        zeros = int((depth == 0).sum())
        raise ValueError(
            f"depth is 0 at {zeros} pixels and has no logarithm there: take the filled-in depth"
        )
    median = np.median(depth)
    if not MEDIAN_DEPTH[0] <= median <= MEDIAN_DEPTH[1]:
        raise ValueError(f"median depth {median:g}: not in millimetres")
    return (np.log(depth) - np.float32(NYUDSegDataLayer.mean_logd))[np.newaxis]


def add_data(n: Any, split: str, tops: list[str], blobs: list[str] | None = None) -> None:
    """Add tops to a NetSpec: those of color, depth, hha and label in `tops`, named as in `blobs`."""
    params = dict(nyud_dir="../data/nyud", split=split, tops=tops, seed=1337)
    python_data(n, blobs or tops, "nyud_layers", "NYUDSegDataLayer", **params)


def prepare(folder: Path, downloads: Path | None = None) -> None:
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
        from_mat(root, labelled, *(downloads / file for file in MAPPINGS))
    for split in ("train", "val", "test"):
        compare(f"nyud {split}", read_ids(root / f"{split}.txt"), SPLITS[split])
    if not (root / "trainval.txt").is_file():
        ids = read_ids(root / "train.txt") + read_ids(root / "val.txt")
        write_ids(root / "trainval.txt", sorted(ids))


def from_mat(root: Path, labelled: Path, mapping: Path, splits: Path) -> None:
    """Colour, depth in millimetres and the 40 classes from NYUDv2's .mat, cropped as Gupta et al.

    HHA is not made: it comes with the prepared archive or from their code.
    """
    import h5py  # takes longer to load than all else here

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


DATASET = Dataset(
    "nyud",
    CLASSES,
    MEAN,
    trees=(Tree(NYUDSegDataLayer, {"nyud_dir": ("nyud", "segmentation")}, ("trainval", "test")),),
    sources=(
        Source(
            "nyud.tar.gz",
            ("http://dl.caffe.berkeleyvision.org/nyud.tar.gz",),
            None,
            "segmentation",
            "nyud",
        ),
    ),
    prepare=prepare,
)
