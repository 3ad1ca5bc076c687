"""Weights and solver states as HDF5: Caffe's own files are read, its layout is written."""

import h5py
import numpy as np
import pytest
from stored import FORMATS, STATES, array_of, golden_values

from caffe.files import hdf5, solverstate


def _tree(path):
    found = {}
    with h5py.File(path) as file:
        file.visititems(lambda name, item: found.update({name: _described(item)}))
    return found


def _described(item):
    if isinstance(item, h5py.Group):
        return "group"
    kind = item.id.get_type()
    text = isinstance(kind, h5py.h5t.TypeStringID) and (kind.get_size(), kind.get_strpad())
    return item.shape, item.dtype.str, text, np.asarray(item[()]).tobytes()


def test_hdf5_weights_round_trip_to_caffes_tree(tmp_path):
    path = FORMATS / "saved/weights.caffemodel.h5"
    stored, wanted = hdf5.read_weights(path), golden_values(FORMATS / "saved/net.prototxt")
    layers = []
    for name, blobs in stored:
        arrays = [blob and array_of(blob) for blob in blobs]
        for i, array in enumerate(arrays):
            if array is not None:
                np.testing.assert_array_equal(array, wanted[f"{name}/{i}"])
        layers.append((name, [a if a is None else (a.shape, a, None) for a in arrays]))
    assert dict(stored)["ip_b"][0] is None  # shared: ip_a owns it
    hdf5.write_weights(tmp_path / "w.h5", layers)
    assert hdf5.is_hdf5(tmp_path / "w.h5")
    assert _tree(tmp_path / "w.h5") == _tree(path)


def test_hdf5_diffs(tmp_path):
    pair = ((2,), np.array([1, 2], np.float32), np.array([3, 4], np.float32))
    hdf5.write_weights(tmp_path / "w.h5", [("a", [pair]), ("b", [])])
    assert _tree(tmp_path / "w.h5")["diff/b"] == "group"
    (_, (blob,)), (_, none) = hdf5.read_weights(tmp_path / "w.h5")
    assert blob.has_diff and array_of(blob, diff=True).tolist() == [3, 4] and none == []
    assert blob.matches((2,)) and not blob.matches((2, 1))
    with pytest.raises(ValueError, match="data/a/0 holds 2 values, 3 wanted"):
        blob.read_into(np.empty(3, np.float32))


def test_hdf5_state_round_trips_to_caffes_tree(tmp_path):
    path = STATES / "snap_iter_4.solverstate.h5"
    state = hdf5.read_state(path)
    assert state[:3] == (4, "snap_iter_4.caffemodel.h5", 0)
    arrays = [array_of(blob) for blob in state.history]
    binary = solverstate.read_state(STATES / "snap_iter_4.solverstate").history
    for mine, other in zip(arrays, binary, strict=True):
        np.testing.assert_array_equal(mine, array_of(other))
    hdf5.write_state(tmp_path / "s.h5", *state[:3], arrays)
    assert _tree(tmp_path / "s.h5") == _tree(path)


@pytest.mark.parametrize("names", [["a/b"], [""], ["a", "a"]])
def test_names_hdf5_cannot_have(names, tmp_path):
    with pytest.raises(ValueError, match="save a .caffemodel"):
        hdf5.write_weights(tmp_path / "w.h5", [(name, []) for name in names])


def test_hdf5_damage(tmp_path):
    raw = (STATES / "snap_iter_4.caffemodel.h5").read_bytes()
    path = tmp_path / "w.h5"
    path.write_bytes(raw[: len(raw) // 2])
    with pytest.raises(ValueError, match="w.h5: damaged"):
        hdf5.read_weights(path)
    with pytest.raises(ValueError, match="no HDF5 file, by its content"):
        hdf5.read_weights(FORMATS / "v1/net.caffemodel")


def test_hdf5_behind_a_user_block(tmp_path):
    path = tmp_path / "w"
    with h5py.File(path, "w", userblock_size=1024) as file:
        file.create_group("data")
    assert hdf5.is_hdf5(path) and hdf5.read_weights(path) == []


def test_damage_anywhere_is_an_error_of_the_file(tmp_path):
    """Found by fuzzing: h5py raised a SystemError out of a visit that had failed."""
    path = tmp_path / "w.h5"
    with h5py.File(path, "w") as file:
        file["data/conv/0"] = np.zeros((2, 3), np.float32)
    whole = path.read_bytes()
    for at in range(8, len(whole), 13):
        raw = bytearray(whole)
        raw[at : at + 2] = b"\xff\xfe"
        path.write_bytes(raw)
        try:
            for _, blobs in hdf5.read_weights(path):
                for blob in blobs:
                    if blob is not None and blob.count == 6:
                        blob.read_into(np.zeros(6, np.float32))
        except ValueError as error:
            assert str(path) in str(error)
