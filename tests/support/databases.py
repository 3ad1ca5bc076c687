"""Databases read with the library alone."""

import os

import numpy as np
import pytest

import caffe
from caffe.proto import caffe_pb2

lmdb = pytest.importorskip("lmdb")


def records(path):
    """{key: Datum}, read with the library alone."""
    with (
        lmdb.open(str(path), readonly=True, lock=False) as database,
        database.begin() as transaction,
    ):
        return {
            key.decode(): caffe_pb2.Datum.FromString(value) for key, value in transaction.cursor()
        }


def write(path, value=0, **options):
    """An LMDB of three datums of one value, 1x2x2, labels 0 to 2; `options` are lmdb.open's."""
    with (
        lmdb.open(os.fsencode(path), map_size=1 << 24, **options) as database,
        database.begin(write=True) as transaction,
    ):
        for label in range(3):
            datum = caffe.io.array_to_datum(np.full((1, 2, 2), value, np.uint8), label)
            transaction.put(b"%08d" % label, datum.SerializeToString())


def data_layer(path, more="batch_size: 2"):
    """A Data layer, `data` and `label`, of an LMDB."""
    return (
        f'layer {{ name: "data" type: "Data" top: "data" top: "label" data_param '
        f'{{ source: "{path}" backend: LMDB {more} }} }} '
    )
