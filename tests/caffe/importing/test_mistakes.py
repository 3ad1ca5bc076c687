"""Files that do not fit a net, or hold no weights: nothing is half-loaded, nothing is run."""

import io
import sys

import h5py
import numpy as np
import pytest
import torch
from foreign import arrays, same, tensors

import caffe


def test_a_table_of_ones_own(nets, tmp_path):
    net, other = nets
    names = {"a": "fc3", "b": "fc2", "c": "conv1_2", "d": "conv1_1"}
    torch.save(tensors(net, {v: k for k, v in names.items()}), tmp_path / "net.pth")
    caffe.import_weights(other, tmp_path / "net.pth", names=names)
    same(other, arrays(net))
    for table, said in (
        ({"x": "fc2"}, "has no layer x; there are"),
        ({"a": "fc9"}, "named fc9; there are"),
    ):
        with pytest.raises(ValueError, match=said):
            caffe.import_weights(other, tmp_path / "net.pth", names=table)


@pytest.mark.parametrize(
    "change, by, said",
    [
        (
            {"fc3.weight": torch.ones(4, 6)},
            None,
            r"weight of fc3: the net has \[5, 6\], the file \[4, 6\]",
        ),
        ({"fc3.bias": None}, None, r"bias of fc3: the net has \[5\], the file none"),
        ({"fc3.bias": torch.ones(9)}, None, r"bias of fc3: the net has \[5\], the file \[9\]"),
        (
            {"conv1_1.weight": torch.ones(4, 4, 3, 3), "conv1_2.weight": torch.ones(4, 3, 3, 3)},
            "order",
            r"the layers part: conv1_1 of the net has \[4, 3, 3, 3\] and \[4\], conv1_1 of the file \[4, 4",
        ),
        (
            {"more.weight": torch.ones(4, 4, 3, 3), "more.bias": torch.ones(4)},
            "order",
            "the file has more layers than the other side: more; 4 in the net, 5 in the file",
        ),
        ({}, "colour", "by is 'name' or 'order', got 'colour'"),
    ],
)
def test_nothing_is_half_loaded(nets, tmp_path, change, by, said):
    net, other = nets
    before = arrays(other)
    stored = {k: v for k, v in (tensors(net) | change).items() if v is not None}
    torch.save(stored, tmp_path / "net.pth")
    with pytest.raises(ValueError, match=said):
        caffe.import_weights(other, tmp_path / "net.pth", by)
    same(other, before)


def test_names_that_the_net_lacks_are_reported(nets, tmp_path):
    net, other = nets
    before = arrays(other)
    state = tensors(net, {"conv1_1": "conv1_1", "conv1_2": "other", "fc2": "fc2", "fc3": "fc3"})
    torch.save(state, tmp_path / "net.pth")
    report = caffe.import_weights(other, tmp_path / "net.pth")
    assert (report.missing, report.ignored) == (["conv1_2"], ["other"])
    assert np.array_equal(other.params["conv1_2"][0].data, before["conv1_2"][0])


class Pickled:
    """What a file may hold that runs code when it is read."""

    def __reduce__(self):
        return print, ("executed",)


def zipped(**arrays):
    content = io.BytesIO()
    np.savez(content, **arrays)
    return content.getvalue()


@pytest.mark.parametrize(
    "write, said",
    [
        (lambda path: path.write_bytes(b""), "not a state_dict of PyTorch, .npz"),
        (lambda path: path.write_bytes(b"\0\1 no weights"), "not a state_dict of PyTorch, .npz"),
        (lambda path: torch.save(Pickled(), path), "nothing else in such a file is run here"),
        (lambda path: torch.save([1, 2], path), "not a state_dict of PyTorch: list without one"),
        (lambda path: torch.save({}, path), "not a state_dict of PyTorch: dict without one"),
        (lambda path: path.write_bytes(zipped()), "not a state_dict"),
        (lambda path: path.write_bytes(zipped(a=np.array([None]))), "not a readable .npz file"),
        (lambda path: h5py.File(path, "w").close(), "no arrays in it"),
        (
            lambda path: path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(20)),
            "damaged or foreign HDF5",
        ),
    ],
)
def test_what_is_no_file_of_weights(nets, tmp_path, write, said, capsys):
    write(tmp_path / "file")
    with pytest.raises(ValueError, match=said) as error:
        caffe.import_weights(nets[0], tmp_path / "file")
    assert str(tmp_path / "file") in str(error.value) and "executed" not in capsys.readouterr().out


def test_a_damaged_safetensors(nets, tmp_path):
    pytest.importorskip("safetensors")
    (tmp_path / "file").write_bytes(b"\x08\0\0\0\0\0\0\0{nothing")
    with pytest.raises(ValueError, match="not a readable .safetensors file"):
        caffe.import_weights(nets[0], tmp_path / "file")


def test_safetensors_without_their_library(nets, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    monkeypatch.setitem(sys.modules, "safetensors.torch", None)
    (tmp_path / "file").write_bytes(b"\x08\0\0\0\0\0\0\0{nothing")
    with pytest.raises(ImportError, match="pip install safetensors"):
        caffe.import_weights(nets[0], tmp_path / "file")


def test_no_file(nets):
    with pytest.raises(RuntimeError, match="Could not open file nowhere.pth"):
        caffe.import_weights(nets[0], "nowhere.pth")


def test_files_that_are_cut_off(nets, tmp_path):
    torch.save(tensors(nets[0]), tmp_path / "net.pth")
    np.savez(tmp_path / "net.npz", a=np.ones(3))
    for name in ("net.pth", "net.npz"):
        content = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(content[:-60])
        with pytest.raises(ValueError, match=f"{name}: cut off: a zip file"):
            caffe.import_weights(nets[0], tmp_path / name)


def test_a_whole_module_is_named_by_its_class(nets, tmp_path):
    torch.save(torch.nn.Linear(2, 2), tmp_path / "net.pth")
    with pytest.raises(
        ValueError, match=r"run here: it holds torch.nn.modules.linear.Linear; save it"
    ):
        caffe.import_weights(nets[0], tmp_path / "net.pth")
