"""NYUDv2 (Silberman et al.): indoor scenes with colour, depth and HHA, in Gupta et al.'s 40 classes.

Labels are 0 to 39, void is 255. On disk they are 1 to 40, with 0 for void.
"""

from pathlib import Path

import h5py
import numpy as np
import scipy.io
from PIL import Image
from tqdm import tqdm

import caffe
from fcn.datasets.data_layer import SegDataLayer, load_mat
from fcn.datasets.dataset import (
    SEED,
    DataError,
    Dataset,
    Source,
    Tree,
    add_python_layer,
    class_names,
)
from fcn.datasets.splits import compare, read_ids, write_ids
from fcn.pictures import subtract_mean

CLASSES = class_names("nyud/classes.txt")
MEAN = (116.190, 97.203, 92.318)  # BGR
MEAN_HHA = (132.431, 94.076, 118.477)
MEAN_LOG_DEPTH = 7.844  # of the natural logarithm of millimetres
# The median depth of a room, in millimetres: it is some metres, and the sensor sees ten. A smaller
# one is in metres or centimetres; a larger one in tenths of millimetres, or has its bits shifted.
MEDIAN_DEPTH = 400, 12000
SPLITS = {
    "train": (381, "f29b0c2b58cf299122545e85882bcdf2195d119f1916035e5bc2e44b933c65ba"),
    "val": (414, "140f799a3016db886c71c2038472ebbd5e3c4a743ecfc9556ebe7108c29865eb"),
    "test": (654, "0b128b3a51a20438c2d0c742c5ad2be5f8be358d59b097f79722e8c7c15449f3"),
}
LABELLED = "nyu_depth_v2_labeled.mat"
MAPPING, SPLIT_LISTS = (
    "classMapping40.mat",
    "nyusplits.mat",
)  # Gupta et al.: 894 labels to 40; splits


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
    mean_hha = np.array(MEAN_HHA)
    mean_logd = MEAN_LOG_DEPTH

    @classmethod
    def params_on_disk(cls, folders: dict[str, str]) -> dict:
        """Read colour and label, and depth and HHA where their folders exist."""
        data = Path(folders["nyud_dir"]) / "data"
        return {"tops": ["color", "label"] + [t for t in ("depth", "hha") if (data / t).is_dir()]}

    def configure(self, params: dict) -> None:
        """Check `tops`, and that the folder of HHA pictures is there if they are asked for."""
        listed = isinstance(self.tops, list | tuple)
        if not listed or not set(self.tops) <= self.loaders.keys():
            known = ", ".join(self.loaders)
            raise self.failure(ValueError, f"tops must be a list of {known}; got {self.tops!r}")
        self.tops = {top: self.loaders[top] for top in self.tops}
        if "hha" in self.tops:
            folder = self.path("hha", 0).parent
            if not folder.is_dir():
                raise self.missing(f"no HHA pictures: folder {folder.absolute()} is not there")

    def load_image(self, idx: str) -> np.ndarray:
        """3 x H x W float32, BGR minus mean."""
        return self.load_bgr("color", idx, self.mean_bgr)

    def load_depth(self, idx: str) -> np.ndarray:
        """1 x H x W float32: log of the depth in millimetres minus its mean. 16-bit PNG."""
        depth = np.asarray(self.open_picture("depth", idx))
        try:
            return log_depth(depth)
        except ValueError as error:
            text = f"{self.path('depth', idx)}: {error} ({self.readme()})"
            raise self.failure(ValueError, text) from None

    def load_hha(self, idx: str) -> np.ndarray:
        """3 x H x W float32: disparity, height, angle in the order stored (no swap), minus mean."""
        return subtract_mean(self.load_rgb("hha", idx), self.mean_hha)

    def load_label(self, idx: str) -> np.ndarray:
        """1 x H x W uint8: 0 to 39, void 255."""
        return self.label_from_one(self.load_mat("label", idx, "segmentation"), "label", idx)


def log_depth(depth: np.ndarray) -> np.ndarray:
    """H x W millimetres as 1 x H x W float32: the natural logarithm minus its mean.

    ValueError for more than one channel, for zeros, and for a median that is not in millimetres.
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
    return (np.log(depth) - np.float32(MEAN_LOG_DEPTH))[np.newaxis]


def add_data_layer(
    n: caffe.NetSpec, split: str, tops: list[str], blobs: list[str] | None = None
) -> None:
    """Add the `tops` (some of color, depth, hha, label), under the names `blobs` if given."""
    params = dict(nyud_dir="../data/nyud", split=split, tops=tops, seed=SEED)
    add_python_layer(n, blobs or tops, "nyud_layers", "NYUDSegDataLayer", params)


def prepare(folder: Path) -> None:
    """Check the prepared archive's lists and add trainval; without it, convert the .mat files."""
    root, downloads = folder / "nyud", folder / "downloads"
    # An interrupted conversion is repeated: the lists are written last.
    interrupted = (downloads / LABELLED).is_file() and not (root / "test.txt").is_file()
    if interrupted or not (root / "segmentation").is_dir():
        if not (downloads / LABELLED).is_file():
            raise DataError(
                f"neither {root.absolute()}/segmentation nor {(downloads / LABELLED).absolute()} "
                "is there: see data/nyud/README.md"
            )
        convert(root, downloads / LABELLED, downloads / MAPPING, downloads / SPLIT_LISTS)
    for split, published in SPLITS.items():
        compare(f"nyud {split}", read_ids(root / f"{split}.txt"), published)
    if not (root / "trainval.txt").is_file():
        ids = read_ids(root / "train.txt") + read_ids(root / "val.txt")
        write_ids(root / "trainval.txt", sorted(ids))


def convert(root: Path, labelled: Path, mapping: Path, split_lists: Path) -> None:
    """Write colour, depth in millimetres and 40 classes from the .mat files, cropped as Gupta et al.

    HHA is not made: it comes with the prepared archive or from their code.
    """
    for path in (mapping, split_lists):
        if not path.is_file():
            raise DataError(f"no {path.absolute()}: see data/nyud/README.md")
    classes = np.concatenate([[0], load_mat(mapping)["mapClass"].ravel()]).astype(np.uint8)
    lists = load_mat(split_lists)
    for folder in ("data/images", "data/depth", "segmentation"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    with h5py.File(labelled) as content:
        for i in tqdm(range(len(content["labels"])), desc="nyud", unit=""):
            convert_picture(root, content, i, classes)
    for split in ("train", "val", "test"):
        if split not in lists:
            raise DataError(f"{split_lists} has no list {split!r}")
        write_ids(root / f"{split}.txt", [str(int(id)) for id in np.sort(lists[split].ravel())])


def convert_picture(root: Path, content: h5py.File, i: int, classes: np.ndarray) -> None:
    """Write the files of picture `i`; `classes` maps the 894 labels to 40."""
    name = f"img_{5001 + i}"
    # MATLAB 7.3 stores axes in reverse order: N x (3 x) W x H.
    image = content["images"][i].transpose(2, 1, 0)[45:470, 40:600]
    depth = content["depths"][i].T[45:470, 40:600] * 1000  # metres, holes filled in
    label = content["labels"][i].T[45:470, 40:600]
    if label.max() >= len(classes):
        raise DataError(f"{LABELLED}: {name} has label {label.max()}, which is not in {MAPPING}")
    Image.fromarray(np.ascontiguousarray(image)).save(root / f"data/images/{name}.png")
    Image.fromarray(np.round(depth).astype(np.uint16)).save(root / f"data/depth/{name}.png")
    values = {"segmentation": classes[label]}
    scipy.io.savemat(root / f"segmentation/{name}.mat", values, do_compression=True)


NYUD = Dataset(
    name="nyud",
    classes=CLASSES,
    mean=MEAN,
    nets={"trainval": "trainval", "test": "test"},
    add_data_layer=add_data_layer,
    trees=(Tree(NYUDSegDataLayer, {"nyud_dir": ("nyud", "segmentation")}, ("trainval", "test")),),
    how_to_get="see data/nyud/README.md",
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
