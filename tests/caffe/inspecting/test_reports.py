"""What is said of each kind: facts, what looks wrong, what is missing, what comes next."""

import io
import shutil

import numpy as np
import pytest
import torch
from narrow import filled
from nets import layer
from PIL import Image
from places import GOLDEN, ROOT

import caffe
from caffe.inspecting import inspect

SHAPE = "input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } }"
INPUT = f'layer {{ name: "data" type: "Input" top: "data" {SHAPE} }}\n'
CONV = layer(
    "conv", "Convolution", ["data"], "conv", "convolution_param { num_output: 4 kernel_size: 3 }"
)
LOSS = layer("loss", "SoftmaxWithLoss", ["conv", "label"], "loss")


def text_of(path):
    return inspect(path).text(str(path))


def test_a_net(said):
    found = said(f'name: "small"\n{INPUT}{CONV}{layer("relu", "ReLU", ["conv"], "conv")}')
    assert found.splitlines() == [
        "file: a net's prototxt, V2",
        '  written as: `layer { type: "Name" }`, today\'s',
        "  name: small",
        "  layers: 3",
        "  types: Input, Convolution, ReLU",
        "  reads: data 1x3x8x8",
        "  gives: conv 1x4x6x6",
        "  parameters: 112",
        "    layer  type         reads  gives  size     parameters",
        "    data   Input               data",
        "    conv   Convolution  data   conv   1x4x6x6  112",
        "    relu   ReLU         conv   conv   1x4x6x6",
        "  next: caffe time -model file",
        "  next: caffe export file OUT.onnx --weights WEIGHTS.caffemodel",
    ]


def test_a_training_net(said):
    data = 'layer { name: "d" type: "Data" top: "data" top: "label" include { phase: TRAIN } '
    data += 'data_param { source: "train_lmdb" } transform_param { mean_file: "mean" } }\n'
    text = (
        data
        + CONV
        + LOSS
        + layer("py", "Python", ["conv"], "x", 'python_param { module: "nowhere" }')
    )
    found = said(text)
    assert "layers: 4, 1 in one phase alone (TRAIN)" in found and "d      Data (TRAIN)" in found
    assert "missing: train_lmdb (data_param.source of layer 'd')" in found
    assert "missing: mean (transform_param.mean_file of layer 'd')" in found
    assert "missing: module nowhere (of the Python layer 'py')" in found
    assert 'next: caffe train -solver SOLVER.prototxt, whose `net` is "file"' in found


def test_sizes_that_a_net_does_not_state(said):
    data = 'layer { name: "d" type: "HDF5Data" top: "data" top: "label" hdf5_data_param { source: "s" } }\n'
    assert "sizes: the size of input 'data' is not known: state it, as in --shape" in said(
        data + CONV + LOSS
    )
    found = said(data + CONV + LOSS, shapes={"data": [1, 3, 5, 5]})
    assert "gives: conv 1x4x3x3" in found and "sizes:" not in found


@pytest.mark.parametrize("age, word", [("v0", "`layers { layer"), ("v1", "`layers { type: NAME")])
def test_old_nets(age, word, folder):
    shutil.copy(GOLDEN / "formats" / age / "net.prototxt", folder)
    found = text_of("net.prototxt")
    assert f"a net's prototxt, {age.upper()}" in found and word in found
    assert "next: caffe upgrade_net_proto_text net.prototxt NEW.prototxt" in found
    model = text_of(GOLDEN / "formats" / age / "net.caffemodel")
    assert f"age: {age.upper()}" in model and "upgrade_net_proto_binary" in model


def test_unknown_types(said):
    found = said(INPUT + layer("x", "Frobnicate", ["data"], "x"))
    assert (
        "of a fork: Frobnicate (unknown; not built in)" in found
        and "wrong: cannot be built" in found
    )


def test_a_net_with_a_mistake(said):
    found = said(INPUT + 'layer { name: "x" type: "ReLU" typo: 3 }')
    assert "layer 'x' (ReLU): file:2:" in found
    found = said(INPUT + CONV + 'layer { name: "x" type: "ReLU" include { phase: TRAIN } typo: 3 }')
    assert "wrong: layer 'x' (ReLU): file:3:" in found and "cannot be built" not in found
    found = said(INPUT + 'layer { name: "x" ')
    assert found.startswith("file: a net's prototxt that cannot be read\n  wrong: file:2:")


def test_a_solver(said, folder):
    (folder / "net.prototxt").write_text(INPUT)
    text = (
        'net: "net.prototxt" base_lr: 0.1 lr_policy: "step" gamma: 0.5 stepsize: 10 max_iter: 2000 '
    )
    text += 'snapshot_prefix: "there/s" snapshot: 100 test_interval: 10 test_iter: 3 momentum: 0.9 '
    text += 'weights: "start.caffemodel" solver_type: NESTEROV'
    found = said(text)
    for line in (
        "a solver's prototxt: how a net is trained",
        "net: net.prototxt",
        "type: Nesterov (by its old number)",
        "rate: 0.1, step, gamma 0.5, stepsize 10",
        "steps: 2,000, 1 pass each",
        "tests: every 10 steps, 3 passes",
        "snapshots: there/s_iter_N, every 100 steps",
        "missing: start.caffemodel, weights",
        "missing: there, the folder for snapshots",
        "next: caffe upgrade_solver_proto_text file NEW.prototxt",
    ):
        assert line in found
    assert "net.prototxt, the net" not in found


def test_a_solver_whose_net_lies_beside_it(folder):
    found = text_of(ROOT / "voc-fcn32s" / "solver.prototxt")
    assert (
        f"train.prototxt, the net: it is there in {ROOT / 'voc-fcn32s'}, so start in that folder"
        in found
    )


@pytest.fixture
def net(folder):
    (folder / "net.prototxt").write_text(INPUT + CONV + layer("bn", "BatchNorm", ["conv"], "bn"))
    return filled(caffe.Net("net.prototxt", caffe.TEST))


@pytest.mark.parametrize("save, name", [("save", "w.caffemodel"), ("save_hdf5", "w.h5")])
def test_weights(net, save, name):
    getattr(net, save)(name)
    found = text_of(name)
    assert "layers: 3, 2 with weights" in found and "parameters: 121" in found
    assert "conv" in found and "4x3x3x3" in found and "wrong" not in found
    assert f"next: caffe test -model NET.prototxt -weights {name}" in found


def test_weights_that_look_wrong(net):
    net.params["conv"][0].data[...] = 0
    net.params["conv"][1].data[:2] = np.nan, np.inf
    net.params["bn"][1].data[0] = 3e9
    net.params["bn"][2].data[...] = 0
    net.save("w.caffemodel")
    found = text_of("w.caffemodel")
    assert "wrong: conv[0]: all 108 weights are zero: never filled, or not learned" in found
    assert "wrong: conv[1]: 2 of 4 values are NaN or infinite" in found
    assert "wrong: bn[2]: the factor of its statistics is 0: they were never filled" in found
    net.params["conv"][0].data[...] = 0.5
    net.save("w.caffemodel")
    assert "wrong: conv[0]: all 108 weights are 0.5" in text_of("w.caffemodel")
    net.params["conv"][0].data[0] = 3e9
    net.save("w.caffemodel")
    assert "wrong: conv[0]: values up to 3e+09: has it diverged?" in text_of("w.caffemodel")


def test_shares_of_zeros(net):
    net.params["conv"][0].data[0] = 0
    net.save("w.caffemodel")
    assert "25% zeros" in text_of("w.caffemodel")


def test_old_shapes():
    found = text_of(GOLDEN / "formats" / "blob_shapes" / "legacy_4d.caffemodel")
    assert "shapes: in four numbers each" in found


@pytest.mark.parametrize("ending", ["", ".h5"])
def test_a_solvers_state(folder, ending):
    name = f"snap_iter_4.solverstate{ending}"
    shutil.copy(GOLDEN / "solvers" / "adam" / name, folder)
    found = text_of(name)
    assert "iteration: 4" in found and "history: 8 blobs, 78 values" in found
    assert f"missing: its weights, snap_iter_4.caffemodel{ending}" in found
    shutil.copy(GOLDEN / "solvers" / "adam" / f"snap_iter_4.caffemodel{ending}", folder)
    assert "missing" not in text_of(name)
    assert f"next: caffe train -solver SOLVER.prototxt -snapshot {name}" in found


def test_a_mean(folder):
    picture = np.float32([[[104, 104]], [[117, 117]], [[123, 123]]])
    blob = caffe.io.array_to_blobproto(picture[None])
    (folder / "mean").write_bytes(blob.SerializeToString())
    found = text_of("mean")
    assert (
        "shape: 1x3x1x2" in found and "mean of each channel: 104, 117, 123 (Caffe's order" in found
    )
    assert 'next: transform_param { mean_file: "mean" }' in found


def test_hdf5_data():
    found = text_of(GOLDEN / "log" / "batches.h5")
    assert "HDF5 data, as an HDF5Data layer reads it" in found and "items: 5" in found
    assert "tops are named data, label" in found


def test_an_lmdb(folder):
    lmdb = pytest.importorskip("lmdb")
    with lmdb.open("db") as environment, environment.begin(write=True) as transaction:
        for i in range(3):
            datum = caffe.io.array_to_datum(np.full((3, 4, 5 + (i == 2)), i, np.uint8), i)
            transaction.put(b"%08d" % i, datum.SerializeToString())
    found = text_of("db")
    assert "an LMDB, as a Data layer reads it" in found and "records: 3" in found
    assert "sizes: 3x4x5 (2), 3x4x6 (1)" in found and "labels: 0 to 2, 3 different" in found
    assert "wrong: sizes differ: a batch of several needs a crop_size" in found
    assert "next: caffe compute_image_mean db MEAN.binaryproto" in found


def test_an_empty_lmdb(folder):
    pytest.importorskip("lmdb").open("db").close()
    assert "wrong: it holds no record" in text_of("db")


def test_a_log():
    found = text_of(GOLDEN / "log" / "train.txt")
    assert "iterations: 0 to 20" in found and "loss: 1.09861 to 0.506508" in found
    assert "ended: as planned" in found and "last test: accuracy 0.875" in found
    assert "next: caffe parse_log" in found


def test_logs_that_went_wrong(said):
    line = "I20260612 10:00:0%d.123456 77 solver.cpp:218] Iteration %d, loss = %s\n"
    found = said("".join(line % (i, i, "3.04452") for i in range(6)))
    assert "the loss is 3.04452 at every display: nothing is learned" in found
    assert "ended: before its last step" in found
    found = said("".join(line % (i, i, loss) for i, loss in enumerate(("3", "nan", "nan"))))
    assert "the loss is no number from display 2 on" in found
    fatal = "F20260612 10:00:01.123456 77 net.cpp:7] Check failed: a == b\n"
    assert "wrong: Check failed: a == b" in said(line % (0, 0, "3") + fatal)


def test_a_list(said, folder):
    Image.new("RGB", (2, 2)).save(folder / "a.png")
    found = said("a.png 0\nb.png 3\n")
    assert "lines: 2" in found and "labels: 0 to 3, 2 of them" in found
    assert "missing: 1 file, b.png the first" in found


def test_other_libraries(folder):
    torch.save({"features.0.weight": torch.zeros(4, 3)}, "net.pth")
    found = text_of("net.pth")
    assert "of another library: PyTorch" in found and "features.0  4x3" in found
    assert "wrong: features.0[0]: all 12 weights are zero" in found
    assert "next: caffe import_weights NET.prototxt net.pth OUT.caffemodel" in found


def test_a_folder(net, folder):
    net.save("w.caffemodel")
    found = text_of(".")
    assert "nets: net.prototxt" in found and "weights: w.caffemodel" in found
    assert "next: caffe inspect ./net.prototxt" in found


def test_a_picture(folder):
    Image.new("L", (7, 5)).save("p.png")
    assert "a picture (PNG)" in text_of("p.png") and "size: 7 x 5, L" in text_of("p.png")


def test_a_net_through_a_python_layer(said):
    """Its module is missing, which says nothing of the layers before."""
    half = layer(
        "half", "Python", ["conv"], "half", 'python_param { module: "nowhere" layer: "H" }'
    )
    found = said(INPUT + CONV + half + layer("prob", "Softmax", ["half"], "prob"))
    assert "missing: module nowhere (of the Python layer 'half')" in found and "wrong" not in found
    assert "gives: conv 1x4x6x6" in found and "sizes: those before Python layers: conv" in found


def test_settings_of_an_unknown_type_are_not_called_wrong(said):
    found = said(INPUT + layer("x", "Accumulate", ["data"], "x", "accumulate_param { size: 3 }"))
    assert "not built in" in found and "has no field" not in found


def test_a_zip_file_that_is_cut_off(said):
    content = io.BytesIO()
    torch.save({"a": torch.ones(9)}, content)
    found = said(content.getvalue()[:-50])
    assert "a zip file that is cut off" in found and "next: download or copy it anew" in found


def test_sizes_of_a_blob_that_is_not_there(said):
    assert "no blob 'dta' in the net; did you mean 'data'?" in said(
        INPUT + CONV, shapes={"dta": [1]}
    )
