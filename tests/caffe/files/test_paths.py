"""Files are written whole or not at all."""

import os

import numpy as np
import pytest

from caffe.files import caffemodel, hdf5
from caffe.files.paths import replacing
from caffe.proto import caffe_pb2


class _Unreadable:
    """An array that fails while it is being written."""

    shape, dtype = (2,), np.dtype(np.float32)

    def __array__(self, *args, **kwargs):
        raise MemoryError("while being written")


@pytest.mark.parametrize("module", [caffemodel, hdf5])
def test_a_file_is_written_whole_or_not_at_all(module, tmp_path):
    path = tmp_path / "w"
    name = caffe_pb2.LayerParameter(name="a") if module is caffemodel else "a"
    module.write_weights(*_arguments(module, path, [(name, [((2,), np.ones(2), None)])]))
    before = path.read_bytes()
    broken = [(name, [((2,), np.zeros(2), None), ((2,), _Unreadable(), None)])]
    with pytest.raises(MemoryError):
        module.write_weights(*_arguments(module, path, broken))
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["w"]
    with pytest.raises(FileNotFoundError, match="there is no folder .*missing"):
        module.write_weights(*_arguments(module, tmp_path / "missing/w", []))


def _arguments(module, path, layers):
    return (path, "n", layers) if module is caffemodel else (path, layers)


def test_a_folder_is_not_replaced(tmp_path):
    with pytest.raises(IsADirectoryError, match="it is a folder"), replacing(tmp_path):
        pass
    assert not list(tmp_path.parent.glob(".*.part"))
