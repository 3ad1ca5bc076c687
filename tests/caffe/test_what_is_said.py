"""Mistakes in lists, solvers and calls: one sentence each, with the file, the line, the numbers."""

import h5py
import numpy as np
import pytest
from nets import build, conv, source
from PIL import Image

import caffe

HDF5 = 'layer { name: "d" type: "HDF5Data" top: "data" hdf5_data_param { batch_size: 2 source: "%s" } }'
WINDOWS = (
    'layer { name: "d" type: "WindowData" top: "data" top: "label" transform_param { crop_size: 2 } '
    'window_data_param { source: "w" batch_size: 2 fg_fraction: 0.5 } }'
)
SOLVER = 'net: "net.prototxt" base_lr: 0.1 lr_policy: "fixed" '
NO_TOPS = """
import caffe

class NoTops(caffe.Layer):
    def setup(self, bottom, top):
        pass

    def reshape(self, bottom, top):
        top[0].reshape(1)

    def forward(self, bottom, top):
        pass
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_later_hdf5_files(folder):
    for name, columns in (("one.h5", 3), ("two.h5", 4)):
        with h5py.File(name, "w") as file:
            file["data"] = np.zeros((2, columns), np.float32)
    (folder / "list").write_text("one.h5\n\ntwo.h5\n")
    net = build(HDF5 % "list", folder)
    said = r"layer 'd' \(HDF5Data\): list, line 3: in two.h5 a row of 'data' has shape \[4\], in one.h5 \[3\]"
    with pytest.raises(ValueError, match=said):
        for _ in range(2):
            net.forward()
    (folder / "list").write_text("one.h5\nnone.h5\n")
    net = build(HDF5 % "list", folder)
    with pytest.raises(ValueError, match="list, line 2: cannot read none.h5"):
        for _ in range(2):
            net.forward()
    with pytest.raises(
        ValueError, match="source one.h5 is an HDF5 file itself: a text file that lists"
    ):
        build(HDF5 % "one.h5", folder)


@pytest.mark.parametrize(
    "text, said",
    [
        ("# 0\na.png\n3\n4\n4\n1\n1 0.9 0 x 3 3\n", "w, line 7: no list of windows: .*'x'"),
        (
            "# 0\na.png\n3\n4\n4\n2\n1 0.9 0 0 3 3\n",
            "w, line 7: .*: the list ends where a window should",
        ),
        (
            "# 0\na.png\n3\n4\n4\n0\nhello\n",
            "w, line 7: no list of windows: '#' expected, got 'hello'",
        ),
    ],
)
def test_lists_of_windows(text, said, folder):
    Image.new("RGB", (4, 4)).save("a.png")
    (folder / "w").write_text(text)
    with pytest.raises(ValueError, match=rf"layer 'd' \(WindowData\): {said}"):
        build(WINDOWS, folder)


@pytest.mark.parametrize("size", [0, -2])
def test_iter_size(size, folder):
    build(source(4, 4) + conv("c", "data", 1), folder)
    (folder / "s").write_text(f"{SOLVER} iter_size: {size}")
    with pytest.raises(ValueError, match=f"s: iter_size is {size}, it must be at least 1"):
        caffe.get_solver("s")


def test_a_solver_for_a_net_and_a_net_for_a_solver(folder):
    build(source(4, 4), folder)
    (folder / "s").write_text(SOLVER)
    with pytest.raises(
        ValueError, match="s:1:1: NetParameter has no field 'net'; SolverParameter has it"
    ):
        caffe.Net("s", caffe.TEST)
    said = "SolverParameter has no field 'layer'; NetParameter has it, so this file is a net: caffe.Net reads"
    with pytest.raises(ValueError, match=said):
        caffe.get_solver("net.prototxt")


def test_a_python_layer_without_tops(folder):
    (folder / "no_tops.py").write_text(NO_TOPS)
    text = 'layer { name: "p" type: "Python" python_param { module: "no_tops" layer: "NoTops" } }'
    with pytest.raises(IndexError, match=r"layer 'p' \(Python\): has 0 bottoms and 0 tops here"):
        build(text, folder)


def test_negative_sizes(folder):
    text = 'layer { name: "d" type: "Input" top: "x" input_param { shape { dim: 1 dim: -3 } } }'
    with pytest.raises(
        ValueError, match=r"blob 'x': no dimension can be negative, got shape \[1, -3\]"
    ):
        build(text, folder)


def test_the_old_order_of_arguments(folder):
    build(source(4, 4), folder).save("w")
    with pytest.raises(TypeError, match=r"state it: .*caffe.Net\(prototxt, weights, caffe.TEST\)"):
        caffe.Net("net.prototxt", "w")
