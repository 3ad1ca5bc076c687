"""Names of files, layers and blobs that are no UTF-8: to Caffe they are bytes."""

import os
import shutil

import h5py
import numpy as np
import pytest
from databases import data_layer, lmdb, write
from PIL import Image

import caffe
from caffe.__main__ import main
from caffe.files.prototxt import ParseError, parse_text
from caffe.proto import caffe_pb2

LATIN = b"b\xe4ume"
NAME = os.fsdecode(LATIN)
PRINTED = r"b\xe4ume"
HDF5 = 'type: "HDF5Data" top: "data" hdf5_data_param { batch_size: 1 source: "%s" }'
IMAGES = 'type: "ImageData" top: "data" top: "label" image_data_param { batch_size: 1 source: "%s" '
IMAGES += 'root_folder: "%s/" }'
WINDOWS = 'type: "WindowData" top: "data" top: "label" transform_param { crop_size: 2 } '
WINDOWS += 'window_data_param { batch_size: 2 fg_fraction: 0.5 source: "%s" root_folder: "%s/" }'
MASKS = 'type: "DenseImageData" top: "data" top: "label" dense_image_data_param { batch_size: 1 '
MASKS += 'source: "%s" root_folder: "%s/" }'
SOLVER = 'net: "%s" base_lr: 0.1 lr_policy: "fixed" test_iter: 1 test_interval: 9 '
SOLVER += "solver_mode: CPU max_iter: 2 "
NET = """
layer { name: "d" type: "DummyData" top: "x" dummy_data_param { shape { dim: [1, 2] } } }
layer { name: "%s" type: "InnerProduct" bottom: "x" top: "%s" inner_product_param { num_output: 2 } }
layer { name: "loss" type: "Reduction" bottom: "%s" top: "loss" loss_weight: 1 }
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of such a name in the working folder, with files of such names in it."""
    monkeypatch.chdir(tmp_path)
    os.mkdir(LATIN)
    picture = Image.new("RGB", (4, 4), (7, 7, 7))
    with open(os.path.join(LATIN, LATIN + b".png"), "wb") as file:
        picture.save(file, "PNG")
    with h5py.File("h5", "w") as file:
        file["data"] = np.full((2, 3), 7, np.float32)
    shutil.move("h5", os.path.join(LATIN, LATIN + b".h5"))
    lists = {
        b"pictures": LATIN + b".png 3\n",
        b"masks": LATIN + b".png " + LATIN + b".png\n",
        b"hdf5": LATIN + b"/" + LATIN + b".h5\n",
        b"windows": b"# 0\n" + LATIN + b".png\n3\n4\n4\n2\n1 0.9 0 0 3 3\n0 0.1 0 0 2 2\n",
    }
    for name, text in lists.items():
        with open(LATIN + name, "wb") as file:
            file.write(text)
    return tmp_path


def build(text, name="net.prototxt", phase=caffe.TEST):
    with open(name, "wb") as file:
        file.write(text.encode("utf-8", "surrogateescape"))
    return caffe.Net(name, phase)


@pytest.mark.parametrize(
    "layer",
    [
        IMAGES % (NAME + "pictures", NAME),
        WINDOWS % (NAME + "windows", NAME),
        MASKS % (NAME + "masks", NAME),
        HDF5 % (NAME + "hdf5"),
    ],
    ids=["pictures", "windows", "masks", "hdf5"],
)
def test_every_list_and_what_it_lists(layer, folder):
    net = build(f'layer {{ name: "data" {layer} }}')
    assert net.forward()["data"].flat[0] == 7


def test_a_database_and_its_keys(folder):
    write(NAME + "/db", 5)
    assert build(data_layer(f"{NAME}/db")).forward()["data"].flat[0] == 5
    assert main(["convert_imageset", NAME + "/", NAME + "pictures", NAME + "/keys"]) == 0
    with (
        lmdb.open(os.fsencode(NAME + "/keys"), readonly=True) as database,
        database.begin() as rows,
    ):
        assert [key for key, _ in rows.cursor()] == [b"00000000_" + LATIN + b".png"]
    assert main(["compute_image_mean", NAME + "/keys", NAME + "/mean"]) == 0
    layer = (
        IMAGES % (NAME + "pictures", NAME)
    ) + f' transform_param {{ mean_file: "{NAME}/mean" }}'
    assert build(f'layer {{ name: "data" {layer} }}').forward()["data"].max() == 0


def test_names_of_layers_and_blobs(folder):
    net = build(NET % (NAME, NAME, NAME))
    assert list(net.params) == [PRINTED] and PRINTED in net.blobs
    net.params[PRINTED][0].data[...] = 3
    for file in ("w.caffemodel", "w.h5"):
        (net.save if file[2] == "c" else net.save_hdf5)(file)
        other = build(NET % (NAME, NAME, NAME))
        other.copy_from(file)
        assert (other.params[PRINTED][0].data == 3).all()
    message = caffe_pb2.NetParameter.FromString((folder / "w.caffemodel").read_bytes())
    as_caffe_s = message.SerializeToString().replace(PRINTED.encode(), LATIN + b"...")
    (folder / "theirs.caffemodel").write_bytes(as_caffe_s)
    theirs = build(NET % (NAME + "...", "y", "y"))
    assert theirs.copy_from("theirs.caffemodel", report=True).copied == [PRINTED + "..."]
    assert (theirs.params[PRINTED + "..."][0].data == 3).all()
    with pytest.raises(ValueError, match=r"no layer before|no blob 'b\\xe4ume' is computed before"):
        build(f'layer {{ name: "s" type: "Silence" bottom: "{NAME}" }}')
    with pytest.raises(ParseError, match=r"net.prototxt:1:1: '\\udce4' outside a string"):
        build(f"{NAME[1:]}: 3")


def test_a_solver_its_net_and_its_snapshots(folder):
    build(NET % ("ip", "y", "y"), NAME + "/net", caffe.TRAIN)
    for text, where in (
        (SOLVER, f"{NAME}/s"),
        (SOLVER + f'snapshot_prefix: "{NAME}/p" snapshot: 1', "p"),
    ):
        with open(f"{NAME}/s.prototxt", "wb") as file:
            file.write((text % f"{NAME}/net").encode("utf-8", "surrogateescape"))
        solver = caffe.get_solver(f"{NAME}/s.prototxt")
        solver.step(1)
        solver.snapshot()
        stem = f"{NAME}/{os.path.basename(where)}_iter_1"
        assert os.path.isfile(stem + ".caffemodel")
        solver.restore(stem + ".solverstate")
        assert main(["train", f"-solver={NAME}/s.prototxt"]) == 0


def test_what_the_message_holds():
    net = parse_text(b'layer { name: "\xe4" include { stage: "\xe4" } data_param { source: "\xe4" } }',
                     caffe_pb2.NetParameter())  # fmt: skip
    assert (net.layer[0].name, net.layer[0].include[0].stage[0]) == (r"\xe4", r"\xe4")
    assert net.layer[0].data_param.source == b"\xe4"
    text = parse_text('layer { name: "ä\\303\\244" top: ["ä", "b"] }', caffe_pb2.NetParameter())
    assert text.layer[0].name == "ää" and list(text.layer[0].top) == ["ä", "b"]
