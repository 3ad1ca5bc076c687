"""What files may claim: a small one that would unpack to gigabytes is refused, and nothing allocated."""

import io
import pickle
import tracemalloc
import zipfile
import zlib

import h5py
import numpy as np
import pytest
import torch
from PIL import Image

import caffe
from caffe.files import limits
from caffe.files.mat import read_mat
from caffe.layers.transform import decode_picture

GIB = 1 << 30


@pytest.fixture(autouse=True)
def little_memory():
    """Python and NumPy may hold 64 MiB more at the end than at the beginning."""
    tracemalloc.start()
    yield
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 64 << 20


def zeros(file, size):
    """Compress that many zeros into a file."""
    packer, part = zlib.compressobj(1), bytes(1 << 20)
    for _ in range(size >> 20):
        file.write(packer.compress(part))
    file.write(packer.flush())


@pytest.fixture(scope="module")
def packed():
    """A gigabyte of zeros, packed to some megabytes less 6 % of what is allowed."""
    buffer = io.BytesIO()
    zeros(buffer, GIB // 2 + (64 << 20))
    return buffer.getvalue()


def npy_header(shape):
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        buffer, {"descr": "<f4", "fortran_order": False, "shape": shape}
    )
    return buffer.getvalue()


def write_npz(path, content, stated=None):
    """A zip with one .npy; `stated` is the size that it claims for it."""
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("conv.weight.npy", content)
    if stated:
        raw = bytearray(path.read_bytes())
        for place, at in ((raw.find(b"PK\1\2"), 24), (0, 22)):
            raw[place + at : place + at + 4] = stated.to_bytes(4, "little")
        path.write_bytes(raw)


def stretched(path):
    """A state_dict of one number that claims to be 10^11."""
    torch.save({"conv.weight": torch.zeros(1).expand(10**6, 10**5)}, path)


def itself(path):
    """A checkpoint that holds itself, as pickles can."""
    content = {}
    content["model"] = content
    torch.save(content, path)


def unallocated(path):
    """A data set of 10^12 zeros, of which none is stored."""
    with h5py.File(path, "w") as file:
        file.create_dataset("conv/kernel", (10**6, 10**6), "f4", chunks=(1000, 1000))


WEIGHTS = {
    "npz header": (lambda p: write_npz(p, npy_header((10**6, 10**6))), "its header states"),
    "npz negative": (lambda p: write_npz(p, npy_header((-1, 4)) + bytes(64)), "its header states"),
    "npz objects": (lambda p: np.savez(p, a=np.array([{}, []], object)), "Python objects"),
    "npz bomb": (lambda p: write_npz(p, npy_header((4,)) + bytes(16), 4 * GIB - 9), "are not unpacked"),
    "pth stretched": (stretched, "are not unpacked"),
    "pth in itself": (itself, "not a state_dict"),
    "hdf5 claims": (unallocated, "are not unpacked"),
}  # fmt: skip


@pytest.mark.parametrize("which", WEIGHTS)
def test_weights_of_other_libraries(which, tmp_path, net_of):
    write, said = WEIGHTS[which]
    path = tmp_path / ("w.npz" if "npz" in which else "w.pth")
    write(path)
    assert path.stat().st_size < 1 << 20
    net = net_of(
        'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 dim: 2 } } }'
        'layer { name: "conv" type: "InnerProduct" bottom: "x" top: "y" '
        "inner_product_param { num_output: 2 } }"
    )
    with pytest.raises(ValueError, match=said) as caught:
        caffe.import_weights(net, str(path))
    assert str(path) in str(caught.value)


def test_pickles_run_nothing(tmp_path, net_of):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "evil"), "w"))

    path = tmp_path / "w.pth"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("archive/data.pkl", pickle.dumps({"w": Evil()}, 2))
        file.writestr("archive/version", "3\n")
    net = net_of('layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 } } }')
    with pytest.raises(ValueError, match="nothing else in such a file is run here"):
        caffe.import_weights(net, str(path))
    assert not (tmp_path / "evil").exists()


def mat_of(packed):
    tag = (15).to_bytes(4, "little") + len(packed).to_bytes(4, "little")
    return b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\1IM" + tag + packed


def test_a_mat_bomb(tmp_path, packed, monkeypatch):
    monkeypatch.setattr(limits, "FOLD", 100)  # the file has two megabytes
    path = tmp_path / "bomb.mat"
    path.write_bytes(mat_of(packed))
    with pytest.raises(ValueError, match="bomb.mat: not a readable .mat file: what it holds would"):
        read_mat(path)


@pytest.mark.parametrize(
    "content", [b"", b"MATLAB", b"\0" * 200, mat_of(b"\x78\x9cxx"), b"abc" * 90]
)
def test_what_is_no_mat(content, tmp_path):
    path = tmp_path / "a.mat"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="not a readable .mat file"):
        read_mat(path)


def picture(width, height, mode="RGB"):
    """The beginning of a BMP or PNG that claims a size: nothing of it is there."""
    buffer = io.BytesIO()
    Image.new(mode, (1, 1)).save(buffer, "PNG")
    raw = bytearray(buffer.getvalue())
    raw[16:24] = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    raw[29:33] = zlib.crc32(raw[12:29]).to_bytes(4, "big")
    return bytes(raw)


@pytest.mark.parametrize("size", [(9000, 9000), (60_000, 60_000), (2**31 - 1, 1)])
def test_pictures(size):
    with pytest.raises(OSError, match="pixels"):
        decode_picture(picture(*size))


@pytest.mark.parametrize("kind", ["external", "virtual", "values outside"])
def test_hdf5_that_leads_elsewhere(kind, tmp_path, net_of):
    secret, path = tmp_path / "secret.h5", tmp_path / "data.h5"
    with h5py.File(secret, "w") as file:
        file["data"] = np.ones((2, 3), np.float32)
    with h5py.File(path, "w") as file:
        if kind == "external":
            file["data"] = h5py.ExternalLink(str(secret), "/data")
        elif kind == "virtual":
            layout = h5py.VirtualLayout((2, 3), "f4")
            layout[:] = h5py.VirtualSource(str(secret), "data", (2, 3))
            file.create_virtual_dataset("data", layout)
        else:
            file.create_dataset("data", (2, 3), "f4", external=[("/etc/passwd", 0, 24)])
    (tmp_path / "list").write_text(f"{path}\n")
    text = f'hdf5_data_param {{ source: "{tmp_path / "list"}" batch_size: 1 }}'
    with pytest.raises(ValueError, match="layer 'd' .*data lies in another file, which is not fol"):
        net_of(f'layer {{ name: "d" type: "HDF5Data" top: "data" {text} }}')
    with pytest.raises(ValueError, match="lies in another file"):
        caffe.weight_shapes(str(path))
