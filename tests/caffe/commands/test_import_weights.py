"""`caffe import_weights`: another library's file, the caffemodel, what is said."""

import pytest
import torch
from foreign import LAYERS, NET, arrays, same, tensors
from narrow import filled

import caffe
from caffe.__main__ import main


@pytest.fixture
def net(folder):
    (folder / "net.prototxt").write_text(NET)
    return filled(caffe.Net("net.prototxt", caffe.TEST))


@pytest.mark.parametrize("out", ["out.caffemodel", "out.caffemodel.h5"])
def test_a_caffemodel(net, folder, capsys, out):
    names = {name: f"features.{i}" for i, name in enumerate(LAYERS)}
    torch.save(tensors(net, names), folder / "net.pth")
    assert main(["import_weights", "net.prototxt", "net.pth", out]) == 0
    said = capsys.readouterr().out
    assert "features.0 -> conv1_1\n" in said and "  copied     4  conv1_1" in said
    assert said.endswith(f"wrote {out}\n")
    same(caffe.Net("net.prototxt", caffe.TEST, weights=out), arrays(net))


def test_caffes_own_file(net, folder, capsys):
    net.save("net.caffemodel")
    assert main(["import_weights", "net.prototxt", "net.caffemodel", "out.caffemodel"]) == 0
    assert (folder / "out.caffemodel").read_bytes() == (folder / "net.caffemodel").read_bytes()


def test_a_net_whose_data_are_not_here(net, folder):
    torch.save(tensors(net), folder / "net.pth")
    source = 'layer { name: "d" type: "HDF5Data" top: "data" hdf5_data_param { source: "none" } }'
    (folder / "train.prototxt").write_text(source + NET[NET.index("\n") :])
    arguments = ["import_weights", "train.prototxt", "net.pth", "out.caffemodel", "--shape"]
    assert main([*arguments, "data=1,3,8,8"]) == 0


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["net.prototxt", "none.pth", "out"], "Could not open file none.pth"),
        (["none.prototxt", "none.pth", "out"], "Could not open file none.prototxt"),
        (
            ["net.prototxt", "net.prototxt", "out"],
            "net.prototxt: not a state_dict of PyTorch, .npz",
        ),
        (["net.prototxt"], "the following arguments are required: file, out"),
    ],
)
def test_mistakes(net, folder, capsys, arguments, said):
    assert main(["import_weights", *arguments]) == 1
    assert said in capsys.readouterr().err and not (folder / "out").exists()
