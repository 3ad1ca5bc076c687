"""Databases read with the library alone."""

import pytest

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
