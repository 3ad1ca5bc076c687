"""`caffe export`: files, what is said, and mistakes."""

import pytest
from narrow import filled
from nets import layer

import caffe
from caffe.__main__ import main

SHAPE = "input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } }"
SOURCE = f'layer {{ name: "data" type: "Input" top: "data" {SHAPE} }}\n'
DATA = 'layer { name: "data" type: "HDF5Data" top: "data" top: "label" hdf5_data_param { source: "none" } }\n'
CONV = layer(
    "conv", "Convolution", ["data"], "conv", "convolution_param { num_output: 2 kernel_size: 1 }"
)
BODY = CONV + layer("loss", "SoftmaxWithLoss", ["conv", "label"], "loss")


@pytest.fixture
def export(folder, monkeypatch):
    monkeypatch.delenv("GLOG_minloglevel")

    def export(text, *arguments):
        (folder / "net.prototxt").write_text(text)
        return main(["export", "net.prototxt", *arguments])

    return export


def test_a_net_with_weights(export, folder, capsys):
    (folder / "net.prototxt").write_text(SOURCE + CONV)
    net = filled(caffe.Net("net.prototxt", caffe.TEST))
    net.save("net.caffemodel")
    assert export(SOURCE + CONV, "out.py", "--weights", "net.caffemodel") == 0
    found = capsys.readouterr()
    assert found.out.startswith("wrote out.py and out.pth\n  inputs: data ?x3x?x?\n")
    assert "gradients in training: off by" in found.out and "no --weights" not in found.err
    assert (folder / "out.py").exists() and (folder / "out.pth").exists()


def test_a_training_net_without_its_data(export, capsys):
    assert export(DATA + BODY, "out.py", "--shape", "data=1,3,6,7", "--no-gradients") == 0
    found = capsys.readouterr()
    assert "left out: data (HDF5Data): a data layer: its tops become inputs" in found.out
    assert "left out: loss (SoftmaxWithLoss)" in found.out and "gradients" not in found.out
    assert "no --weights: out.py gets what the fillers of net.prototxt give" in found.err


def test_onnx(export, folder, capsys):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    assert export(SOURCE + CONV, "out.onnx", "--outputs", "conv") == 0
    assert "ONNX Runtime on data" in capsys.readouterr().out and (folder / "out.onnx").exists()


@pytest.mark.parametrize(
    "text, arguments, said",
    [
        (
            DATA + BODY,
            ["out.py"],
            "the size of input 'data' is not known: state it, as in --shape data=",
        ),
        (
            DATA + BODY,
            ["out.py", "--shape", "data:1"],
            "--shape takes a blob and its sizes, as data=1,3",
        ),
        (SOURCE + CONV, ["out.pt"], "out.pt: the name must end in .onnx or .py"),
        (
            SOURCE + CONV,
            ["out.py", "--outputs", "con"],
            "no blob 'con' in the net; did you mean 'conv'?",
        ),
        (SOURCE + CONV, ["out.py", "--weights", "none"], "Could not open file none"),
        ("layer {", ["out.py"], "net.prototxt:1"),
        (SOURCE, ["out.py"], "nothing is left to export: it has no layers"),
    ],
)
def test_mistakes(export, folder, capsys, text, arguments, said):
    assert export(text, *arguments) == 1
    err = capsys.readouterr().err
    assert said in err and "Traceback" not in err
    assert not (folder / "out.py").exists()
