"""Every parser and loader of files, with small good files of its kind: what is fuzzed.

A target gets a path. It returns, or raises an exception that a user can read: of REFUSALS, with a text.
"""

import contextlib
import io
import json
import os
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
import torch
from PIL import Image

import caffe
from caffe import inspecting
from caffe.files import hdf5, image_list, read, snapshot
from caffe.files.database import Database
from caffe.files.mat import read_mat
from caffe.layers.transform import decode_picture, read_picture
from caffe.proto import caffe_pb2
from fcn import any_net, pictures, prototxts
from fcn.datasets import param_str, splits
from fcn.new import coco, labelme
from fcn.serving import uploads
from tests.soak.mutation import png_with_right_sums

REFUSALS = (ValueError, RuntimeError, OSError, ImportError, uploads.Refused)
ROOT = Path(__file__).resolve().parents[2]
FORMATS = ROOT / "tests" / "golden" / "formats"


class Target(NamedTuple):
    """A loader: the good files that changed ones are made of, and what reads one."""

    seeds: Callable[[], list[bytes]]
    load: Callable[[Path], object]
    name: str = "file"  # that the file has: some loaders go by its ending


def contents(*patterns: str, folder: Path = FORMATS) -> Callable[[], list[bytes]]:
    """The small files below a folder."""
    found = [path for pattern in patterns for path in sorted(folder.glob(pattern))]
    return lambda: [path.read_bytes() for path in found if path.stat().st_size < 4096]


NET = """name: "n" input: "x" input_shape { dim: 1 dim: 3 dim: 8 dim: 8 }
layer { name: "c" type: "Convolution" bottom: "x" top: "c" convolution_param { num_output: 2
  kernel_size: 3 pad: 1 stride: 1 weight_filler { type: "xavier" } } }
layer { name: "p" type: "Pooling" bottom: "c" top: "p" pooling_param { pool: MAX kernel_size: 2 stride: 2 } }
layer { name: "r" type: "ReLU" bottom: "p" top: "p" relu_param { negative_slope: 0.1 } }
layer { name: "d" type: "Deconvolution" bottom: "p" top: "d" convolution_param { num_output: 2
  kernel_size: 4 stride: 2 group: 2 } }
layer { name: "k" type: "Crop" bottom: "d" bottom: "x" top: "k" crop_param { axis: 2 offset: 0 } }
layer { name: "s" type: "Slice" bottom: "k" top: "a" top: "b" slice_param { axis: 1 slice_point: 1 } }
layer { name: "j" type: "Concat" bottom: "a" bottom: "b" top: "j" }
layer { name: "l" type: "LRN" bottom: "j" top: "l" lrn_param { local_size: 3 alpha: 1 } }
layer { name: "e" type: "Reshape" bottom: "l" top: "e" reshape_param { shape { dim: 0 dim: -1 } } }
layer { name: "i" type: "InnerProduct" bottom: "e" top: "i" inner_product_param { num_output: 2 } }
layer { name: "t" type: "Tile" bottom: "i" top: "t" tile_param { axis: 1 tiles: 2 } }
layer { name: "y" type: "Python" bottom: "t" python_param { module: "no" layer: "No" param_str: "{}" } }
"""
LIST = b"a.png 0\nb c.png 12\n\n"
WINDOWS = b"# 0\na.png\n3\n10\n10\n2\n1 0.9 0 0 5 5\n0 0.1 1 1 6 6\n"
LABELME = json.dumps({"version": "5", "imageHeight": 9, "imageWidth": 8, "shapes": [
    {"label": "cat", "shape_type": "polygon", "points": [[1, 1], [6, 1], [6, 6]]},
    {"label": "dog", "shape_type": "circle", "points": [[4, 4], [5, 6]]}]}).encode()  # fmt: skip
COCO = json.dumps({"images": [{"id": 1, "file_name": "a.png", "height": 9, "width": 8}],
    "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}], "annotations": [
    {"id": 1, "image_id": 1, "category_id": 1, "segmentation": [[1, 1, 6, 1, 6, 6]]},
    {"id": 2, "image_id": 1, "category_id": 2, "iscrowd": 1,
     "segmentation": {"size": [9, 8], "counts": [10, 20, 42]}}]}).encode()  # fmt: skip


@cache
def small_net() -> caffe.Net:
    """A net that weights are read into."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "net.prototxt")
        path.write_text(NET[: NET.index('layer { name: "y"')])
        return caffe.Net(str(path), caffe.TEST)


def written(name: str, write: Callable[[str], object]) -> Callable[[], list[bytes]]:
    """What a function writes into a file."""

    @cache
    def content() -> list[bytes]:
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, name)
            write(path)
            return [Path(path).read_bytes()]

    return content


def encoded(kind: str, mode: str = "RGB") -> bytes:
    """A small picture's file."""
    values = np.random.default_rng(0).integers(0, 256, (9, 12, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(values).convert(mode).save(buffer, kind)
    return buffer.getvalue()


def picture_files() -> list[bytes]:
    """A small picture of each kind."""
    kinds = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "PPM", "WEBP")
    return [encoded(kind) for kind in kinds] + [encoded("PNG", "P"), encoded("PNG", "L")]


def write_lmdb(path: str) -> None:
    """A database of a few Datums, one on pages of its own."""
    import lmdb

    with (
        lmdb.open(path, subdir=False, map_size=1 << 20) as database,
        database.begin(write=True) as records,
    ):
        for i, size in enumerate((12, 3000, 6000)):
            datum = caffe_pb2.Datum(channels=1, height=1, width=size, data=bytes(size), label=i)
            records.put(b"%03d" % i, datum.SerializeToString())


def write_hdf5(path: str) -> None:
    """Data as HDF5Data reads it, plain and packed."""
    with h5py.File(path, "w") as file:
        file["data"] = np.zeros((2, 3), np.float32)
        file.create_dataset("label", (2,), "i4", chunks=(2,), compression="gzip", data=[0, 1])


def write_mat(path: str) -> None:
    """A matrix, a struct and a list of cells, packed."""
    import scipy.io

    cells = np.array([np.arange(3), "text"], object)
    scipy.io.savemat(path, {"S": np.eye(3, dtype=np.uint8), "G": {"a": cells}}, do_compression=True)


def write_state(path: str) -> None:
    """A solver's state."""
    history = [np.zeros(blob.shape, np.float32) for blob in small_net().learnable_params]
    write = hdf5.write_state if path.endswith(".h5") else snapshot.solverstate.write_state
    write(path, 7, "", 1, history)


def state_dict() -> dict[str, torch.Tensor]:
    """The convolution's weights, as PyTorch names them."""
    return {"c.weight": torch.zeros(2, 3, 3, 3), "c.bias": torch.zeros(2)}


def write_safetensors(path: str) -> None:
    """The same in that library's format."""
    from safetensors.torch import save_file

    save_file(state_dict(), path)


# ---- what reads them


def build(path: Path) -> None:
    """Builds the net; where the prototxt's layers write, they may not."""
    caffe.Net(str(path), caffe.TEST)


def datum(path: Path) -> None:
    """A record of a database, as a Data layer turns it into a picture."""
    try:
        message = caffe_pb2.Datum.FromString(path.read_bytes())
    except Exception as error:  # protobuf's DecodeError, which Database turns into a ValueError
        raise ValueError(str(error) or "no Datum") from error
    decode_picture(message.data) if message.encoded else caffe.io.datum_to_array(message)


def net_of(text: str) -> Callable[[Path], object]:
    """A net with a layer that reads the file."""

    def load(path: Path) -> None:
        with tempfile.TemporaryDirectory() as folder:
            net = Path(folder, "net.prototxt")
            net.write_text(text.replace("FILE", str(path)).replace("LIST", f"{folder}/list"))
            Path(folder, "list").write_text(f"{path}\n")
            caffe.Net(str(net), caffe.TEST).forward()

    return load


def coco_masks(path: Path) -> None:
    """The masks that a file of COCO's draws on the pictures that it names."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "a.png").write_bytes(encoded("PNG"))
        content = coco.Coco(path)
        for pair in content.pairs(folder).pairs:
            content.read(pair, (9, 8))


def png(path: Path) -> None:
    """A picture, by each of the readers; with checksums that fit if it is a PNG."""
    raw = path.read_bytes()
    if raw.startswith(b"\x89PNG"):
        path.write_bytes(raw := png_with_right_sums(raw))
    for reader in (
        lambda: read_picture(str(path)),
        lambda: pictures.read_picture(path),
        lambda: uploads.read_picture(raw, 10**6),
        lambda: caffe.io.load_image(str(path)),
    ):
        with contextlib.suppress(*pictures.UNREADABLE_ERRORS, uploads.Refused):
            reader()


def weights_of(path: Path) -> None:
    """Weights, into a net."""
    caffe.weight_shapes(str(path))
    small_net().copy_from(str(path))


def state(path: Path) -> None:
    """A solver's state."""
    shapes = [list(blob.shape) for blob in small_net().learnable_params]
    for blob in snapshot.read(path, shapes, "SGDSolver").history:
        blob.read_into(np.zeros(blob.shape, np.float32))


HDF5 = (
    'layer { name: "d" type: "HDF5Data" top: "data" top: "label" '
    'hdf5_data_param { source: "LIST" batch_size: 2 } }'
)
WINDOW = (
    'layer { name: "d" type: "WindowData" top: "a" top: "b" transform_param { crop_size: 4 } '
    'window_data_param { source: "FILE" batch_size: 2 } }'
)
TARGETS = {
    "prototxt": Target(
        contents("*/*.prototxt", "v[01]/*"), lambda p: read.read_net(p, lenient=True), "n.prototxt"
    ),
    "prototxt of fcn": Target(contents("*/*.prototxt"), prototxts.read_net, "n.prototxt"),
    "solver": Target(contents("*/solver.prototxt", folder=ROOT), read.read_solver, "s.prototxt"),
    "net": Target(lambda: [NET.encode()], build, "n.prototxt"),
    "caffemodel": Target(
        lambda: contents("*/*.caffemodel")() + written("w", small_net().save)(),
        weights_of,
        "w.caffemodel",
    ),
    "upgrade": Target(contents("*/*.caffemodel"), read.read_net_binary, "w.caffemodel"),
    "HDF5 weights": Target(
        lambda: written("w.h5", small_net().save_hdf5)(), weights_of, "w.caffemodel.h5"
    ),
    "solverstate": Target(written("s", write_state), state, "s.solverstate"),
    "HDF5 state": Target(written("s.h5", write_state), state, "s.solverstate.h5"),
    "mean": Target(
        contents("blobs/*.binaryproto"),
        lambda p: caffe.io.blobproto_to_array(read.read_blob_proto(p)),
    ),
    "HDF5 data": Target(written("d.h5", write_hdf5), net_of(HDF5), "d.h5"),
    "Datum": Target(contents("blobs/datum*.bin"), datum),
    "LMDB": Target(
        written("d.mdb", write_lmdb), lambda p: sum(1 for _ in Database("lmdb", str(p)).datums())
    ),
    "list of pictures": Target(lambda: [LIST], lambda p: image_list.read_image_list(str(p))),
    "list of windows": Target(lambda: [WINDOWS], net_of(WINDOW)),
    "split": Target(lambda: [b"2007_000001\n2007_000002\n"], splits.read_ids),
    "param_str": Target(
        lambda: [
            b"{'voc_dir': '../data', 'split': 'train', 'mean': (104.00699, 116.6, 122), 'seed': 1}"
        ],
        lambda p: param_str.parse(p.read_bytes().decode("latin-1")),
    ),
    "class names and means": Target(
        lambda: [b"104.0, 116.6, 122.7\n"], any_net.read_mean, "mean.txt"
    ),
    "LabelMe": Target(lambda: [LABELME], lambda p: labelme.read(p, (9, 8))),
    "COCO": Target(lambda: [COCO], coco_masks),
    "mat": Target(written("a.mat", write_mat), read_mat, "a.mat"),
    "pth": Target(
        written("w.pth", lambda p: torch.save(state_dict(), p)),
        lambda p: caffe.import_weights(small_net(), str(p)),
        "w.pth",
    ),
    "npz": Target(
        written(
            "w.npz",
            lambda p: np.savez_compressed(p, **{k: v.numpy() for k, v in state_dict().items()}),
        ),
        lambda p: caffe.import_weights(small_net(), str(p)),
        "w.npz",
    ),
    "safetensors": Target(
        written("w.safetensors", write_safetensors),
        lambda p: caffe.import_weights(small_net(), str(p)),
    ),
    "pictures": Target(picture_files, png),
    "inspect": Target(
        lambda: [
            seed for name in TARGETS if name != "inspect" for seed in TARGETS[name].seeds()[:2]
        ],
        lambda p: inspecting.inspect(str(p)),
    ),
}
