"""Every kind of file is told by its content, whatever its name."""

import io
import os
import zipfile

import h5py
import numpy as np
import pytest
import torch
from PIL import Image
from places import GOLDEN, ROOT

from caffe.inspecting import KINDS, inspect, kinds

FILES = {
    "formats/v0/net.prototxt": "net",
    "formats/v1/net.prototxt": "net",
    "formats/inputs/input_dim.prototxt": "net",
    "formats/v0/net.caffemodel": "caffemodel",
    "formats/v1/net.caffemodel": "caffemodel",
    "formats/blob_shapes/unpacked.caffemodel": "caffemodel",
    "formats/saved/weights.caffemodel.h5": "hdf5",
    "formats/blobs/mean_legacy.binaryproto": "mean",
    "formats/blobs/mean_shape.binaryproto": "mean",
    "formats/blobs/datum_float.bin": "datum",
    "formats/blobs/datum_uint8.bin": "datum",
    "solvers/adam/solver.prototxt": "solver",
    "solvers/old_solver_type_enum/solver.prototxt": "solver",
    "solvers/adam/snap_iter_4.solverstate": "solverstate",
    "solvers/adam/snap_iter_4.solverstate.h5": "hdf5",
    "solvers/adam/data.npz": "foreign",
    "log/train.txt": "log",
    "log/time.txt": "log",
    "log/batches.h5": "hdf5",
    "log/batches.txt": "list",
    "formats": "folder",
}


@pytest.mark.parametrize("name", FILES)
def test_files_of_caffe(name):
    assert kinds.kind_of(str(GOLDEN / name)) == FILES[name]


@pytest.mark.parametrize("model", ["voc-fcn8s", "siftflow-fcn32s"])
def test_the_models_files(model):
    for path in (ROOT / model).glob("*.prototxt"):
        assert kinds.kind_of(str(path)) == ("solver" if path.name == "solver.prototxt" else "net")


def saved(write):
    content = io.BytesIO()
    write(content)
    return content.getvalue()


def zipped(name):
    def write(content):
        with zipfile.ZipFile(content, "w") as archive:
            archive.writestr(name, "x")

    return saved(write)


OTHERS = {
    "empty": b"",
    "picture": saved(lambda f: Image.new("RGB", (3, 2)).save(f, "JPEG")),
    "foreign": saved(lambda f: torch.save({"a.weight": torch.ones(2, 2)}, f)),
    "archive": zipped("picture.jpg"),
    "array": saved(lambda f: np.save(f, np.ones(3))),
    "pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 5\n",
    "page": b"<!DOCTYPE html><html>404</html>",
    "list": b"cat one.jpg 0\ndog.jpg 1\n",
    "text": b"aeroplane\nbicycle\n",
    "unknown": bytes(range(200, 256)) * 20,
    "log": b"I0612 10:00:00.123456 77 solver.cpp:218] Iteration 0, loss = 3\n",
}


@pytest.mark.parametrize("kind", OTHERS)
def test_other_files(kind, folder):
    (folder / "file").write_bytes(OTHERS[kind])
    assert kinds.kind_of("file") == kind


def test_safetensors(folder):
    save_file = pytest.importorskip("safetensors.torch").save_file
    save_file({"a.weight": torch.ones(2)}, "file")
    assert kinds.kind_of("file") == "foreign"


def test_databases(folder):
    lmdb = pytest.importorskip("lmdb")
    lmdb.open("db").close()
    assert kinds.kind_of("db") == kinds.kind_of("db/data.mdb") == "lmdb"
    os.mkdir("level")
    (folder / "level" / "CURRENT").write_text("MANIFEST-000001\n")
    assert kinds.kind_of("level") == "leveldb"


def test_onnx(folder, net_of):
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    graph = onnx.helper.make_graph([], "g", [], [])
    onnx.save(onnx.helper.make_model(graph, producer_name="somebody"), "file")
    assert (
        "a model in ONNX" in (text := inspect("file").text("file"))
        and "written by: somebody" in text
    )


def test_every_kind_is_reported_on():
    named = {*kinds.MAGIC.values(), *(kind for kind, _ in [*kinds._TESTS, *kinds._MESSAGES])}
    assert named | {"empty", "folder", "leveldb", "special", "unknown"} == set(KINDS)


@pytest.mark.parametrize(
    "text, wanted",
    [
        ('net: "a" base_lr: 1', {"net", "base_lr"}),
        (
            'name: "x" layer { name: "net: {" type: "A" param { base_lr: 1 } } # max_iter: 3',
            {"name", "layer"},
        ),
        ("layers{layer{name:'c'}}", {"layers"}),
        ('type: "a\\"b: 3" gamma : 2', {"type", "gamma"}),
    ],
)
def test_outer_fields(text, wanted):
    assert kinds.outer_fields(text) == wanted


def test_hdf5_of_others(folder):
    with h5py.File("file", "w") as file:
        file["conv/weight"] = np.ones((2, 3))
    assert "arrays, perhaps weights, of another library: HDF5" in inspect("file").text("file")
