"""Blob: shapes, memory, the NumPy and the tensor side (tests behaviours of test_blob.cpp, syncedmem)."""

import numpy as np
import pytest
import torch

from caffe import context
from caffe.blob import Blob


def test_data_is_a_live_view_of_the_tensor_side(device):
    blob = Blob((2, 3))
    blob.data[...] = [[1, 2, 3], [4, 5, 6]]
    assert blob.x.device.type == ("cuda" if device == "cuda" else "cpu")
    assert (blob.x.data_ptr() == blob.data.ctypes.data) == (device == "cpu")
    assert blob.x.tolist() == [[1, 2, 3], [4, 5, 6]]
    blob.x.mul_(2)
    assert blob.data.tolist() == [[2, 4, 6], [8, 10, 12]]


def test_a_view_in_hand_sees_assigned_values():
    blob = Blob((4,))
    view = blob.data
    blob.x = torch.arange(4.0)
    assert view.tolist() == [0, 1, 2, 3]


def test_assigning_takes_over_fresh_memory_and_copies_views():
    blob, fresh = Blob((4,)), torch.arange(4.0)
    blob.x = fresh
    assert blob.x.data_ptr() == fresh.data_ptr()
    other = Blob((2, 2))
    other.x = blob.x.view(2, 2)
    other.x.zero_()
    assert blob.data.tolist() == [0, 1, 2, 3]


def test_assigning_a_blob_s_own_values_changes_nothing():
    blob = Blob((3,))
    blob.data[...] = 1
    blob.x += 1
    assert blob.data.tolist() == [2, 2, 2]


def test_assigning_another_count_is_refused():
    with pytest.raises(ValueError, match=r"\[5\].*\(4,\)"):
        Blob((4,)).x = torch.zeros(5)


def test_shrinking_keeps_memory_and_growing_beyond_it_zeroes():
    blob = Blob((6,))
    blob.data[...] = np.arange(6)
    blob.reshape(2, 2)
    assert blob.data.tolist() == [[0, 1], [2, 3]]
    blob.reshape(6)
    assert blob.data.tolist() == [0, 1, 2, 3, 4, 5]
    blob.reshape(7)
    assert not blob.data.any()


def test_values_survive_growing_back_after_a_smaller_tensor_was_taken():
    blob = Blob((6,))
    blob.reshape(2)
    blob.x = torch.ones(2)
    blob.reshape(6)
    assert blob.data.tolist() == [1, 1, 0, 0, 0, 0]


def test_untouched_memory_is_not_allocated():
    blob = Blob((1 << 20,))
    blob.clear_diff()
    assert not blob._data.sides and not blob._diff.sides


def test_shared_memory_follows_both_ways():
    a, b = Blob((2, 3)), Blob((6,))
    b.share_data(a)
    a.data[...] = 3
    b.x = torch.full((6,), 5.0)
    assert a.data.tolist() == [[5, 5, 5], [5, 5, 5]]
    with pytest.raises(ValueError, match="cannot share"):
        Blob((5,)).share_data(a)


def test_a_scalar_blob_holds_one_value():
    blob = Blob(())
    blob.data[...] = 4
    assert blob.count == 1 and blob.x.shape == () and float(blob.x) == 4


def test_an_empty_blob_has_no_values():
    blob = Blob((0, 3))
    assert blob.count == 0 and blob.data.shape == (0, 3) and blob.x.shape == (0, 3)


@pytest.mark.parametrize(
    ("shape", "text"),
    [((-1, 3), "negative"), ((1,) * 33, "at most 32 axes"), ((1 << 16, 1 << 16), "4294967296")],
)
def test_impossible_shapes(shape, text):
    with pytest.raises(ValueError, match=text):
        Blob(shape)


def test_legacy_accessors_need_four_axes_at_most():
    assert Blob((2, 3)).legacy_shape() == (2, 3, 1, 1)
    with pytest.raises(ValueError, match="at most four axes"):
        _ = Blob((1, 2, 3, 4, 5)).num


def test_double_precision_is_a_scope():
    with context.double_precision():
        wide = Blob((2,))
    assert wide.data.dtype == np.float64 and Blob((2,)).data.dtype == np.float32
