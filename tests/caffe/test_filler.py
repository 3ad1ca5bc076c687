"""Initial values: exact ones, and the statistics of random ones, against BVLC Caffe 1.0's."""

import json

import numpy as np
import pytest
from google.protobuf import json_format
from gradient_check import build
from places import GOLDEN

import caffe
from caffe.blob import Blob
from caffe.filler import FILLERS, fill
from caffe.proto import caffe_pb2

RULES = json.loads((GOLDEN / "rules.json").read_text())
ROWS = RULES["fillers"]["rows"]


def filled(shape, **fields):
    blob = Blob(shape)
    filler = json_format.ParseDict(fields, caffe_pb2.FillerParameter())
    fill(build('type: "DummyData"'), blob, filler)
    return blob.data


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['filler']['type']}-{row['shape']}")
def test_as_in_caffe(row):
    values = filled(row["shape"], **row["filler"])
    if "exact" in row:
        np.testing.assert_allclose(values.reshape(np.shape(row["exact"])), row["exact"], atol=2e-6)
    if "every_plane_equals_first" in row:
        assert (values == values[0, 0]).all() and values.any()
    if "first_row" in row:
        np.testing.assert_allclose(values[0, 0, 0], row["first_row"], rtol=1e-5)
        np.testing.assert_allclose(np.diag(values[0, 0]), row["diagonal"], rtol=1e-5)
    if "row_sums" in row:
        np.testing.assert_allclose(values.reshape(len(values), -1).sum(1), 1, rtol=1e-4)
    if "bound" in row:
        # the bound was read off Caffe's draws: the largest of 50,000 or more comes this close
        assert np.abs(values).max() == pytest.approx(row["bound"], rel=1e-4)
    if "fraction_nonzero" in row:
        assert (values != 0).mean() == pytest.approx(row["fraction_nonzero"], abs=0.005)
    if "stats" in row:
        # 120,000 draws (50,000 in the one-axis rows): means and deviations agree to a percent
        spread = row["stats"]["std"]
        assert values.mean() == pytest.approx(row["stats"]["mean"], abs=0.02 * spread)
        assert values.std() == pytest.approx(spread, rel=0.02)


@pytest.mark.parametrize(
    "text, shape, blobs",
    [
        (
            'type: "Convolution" convolution_param { num_output: 5 kernel_size: 3 }',
            (2, 4, 6, 7),
            [0, 0],
        ),
        ('type: "InnerProduct" inner_product_param { num_output: 5 }', (2, 4, 3), [0, 0]),
        (
            'type: "Deconvolution" convolution_param { num_output: 5 kernel_size: 3 }',
            (2, 4, 6, 7),
            [0, 0],
        ),
        ('type: "PReLU"', (2, 4, 3), [0.25]),
        ('type: "Scale" scale_param { bias_term: true }', (2, 4, 3), [1, 0]),
        ('type: "Bias"', (2, 4, 3), [0]),
        ('type: "BatchNorm"', (2, 4, 3), [0, 0, 0]),
    ],
)
def test_defaults_of_layers(text, shape, blobs):
    layer = build(text)
    layer.setup([Blob(shape)], [Blob(())])
    assert [set(blob.data.ravel()) for blob in layer.blobs] == [{value} for value in blobs]


def test_one_seed_one_start_and_the_next_draw_differs():
    draws = []
    for _ in range(2):
        caffe.set_random_seed(5)
        draws.append([filled((3, 4), type=kind) for kind in ("xavier", "xavier", "gaussian")])
    np.testing.assert_array_equal(draws[0], draws[1])
    assert (draws[0][0] != draws[0][1]).all()


def test_devices_start_alike(device):
    caffe.set_random_seed(5)
    values = filled((3, 4), type="gaussian").copy()
    caffe.set_mode_cpu()
    caffe.set_random_seed(5)
    np.testing.assert_array_equal(values, filled((3, 4), type="gaussian"))


def test_zeros_stay_unallocated():
    blob = Blob((4096, 25088))
    fill(build('type: "DummyData"'), blob, caffe_pb2.FillerParameter())
    assert not blob._data.sides


@pytest.mark.parametrize(
    "shape, fields, message",
    [
        ((2, 3), {"type": "nope"}, "unknown filler type 'nope'; known: constant, uniform"),
        ((2, 3), {"type": "bilinear"}, "four axes and a square kernel"),
        ((1, 1, 2, 3), {"type": "bilinear"}, "four axes and a square kernel"),
        ((2, 3), {"type": "gaussian", "std": 0}, "std must be above 0, got 0"),
        ((2, 3), {"type": "gaussian", "sparse": 5}, "sparse 5 must lie between 0"),
        ((2, 3), {"type": "uniform", "min": 2}, "min 2.0 exceeds max 1.0"),
        ((2, 3), {"type": "xavier", "sparse": 3}, "sparse belongs to the gaussian"),
    ],
)
def test_bad_settings(shape, fields, message):
    with pytest.raises(ValueError, match=f"layer 'l' .*{message}"):
        filled(shape, **fields)


def test_the_table_names_every_filler():
    own = {name for name, fill in FILLERS.items() if fill.__module__ == "caffe.filler"}
    assert set(FILLERS) - own == {"identity"}  # a fork's
    assert own == {
        "constant", "uniform", "gaussian", "positive_unitball", "xavier", "msra", "bilinear"
    }  # fmt: skip
