"""dilation's identity filler."""

import numpy as np
import pytest
from gradient_check import build

from caffe.blob import Blob
from caffe.filler import fill
from caffe.proto.caffe_pb2 import FillerParameter


def filled(shape, **fields):
    blob = Blob(shape)
    fill(build('type: "DummyData"'), blob, FillerParameter(type="identity", **fields))
    return blob.data


def test_as_many_outputs_as_inputs_are_the_identity():
    values = filled((3, 3, 5, 5))
    np.testing.assert_array_equal(values[:, :, 2, 2], np.eye(3))
    assert values.sum() == 3


def test_outputs_share_what_their_group_has():
    values = filled((4, 2, 3, 3), value=10)
    np.testing.assert_array_equal(values[:, :, 1, 1], [[5, 0], [5, 0], [0, 5], [0, 5]])
    values = filled((2, 4, 1, 1), num_groups=2)
    np.testing.assert_array_equal(values[:, :, 0, 0], [[1, 1, 0, 0], [0, 0, 1, 1]])


def test_noise_around_it():
    values = filled((50, 50, 3, 3), std=0.01)
    np.testing.assert_array_equal(values[:, :, 1, 1][np.eye(50, dtype=bool)], 1)
    assert 0.009 < values[:, :, 0].std() < 0.011


@pytest.mark.parametrize(
    "shape, says",
    [((3, 2, 1, 1), "2 groups must divide 3 outputs"), ((3, 3), "four axes are needed")],
)
def test_what_it_cannot_fill(shape, says):
    with pytest.raises(ValueError, match=rf"layer 'l' \(DummyData\): identity filler: {says}"):
        filled(shape)
