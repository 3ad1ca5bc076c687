"""Databases: what is refused, and what a full one does."""

import sys

import pytest

from caffe.files import database
from caffe.files.database import Database
from caffe.proto import caffe_pb2


def test_records_are_read_in_the_order_of_their_keys(tmp_path, monkeypatch):
    pytest.importorskip("lmdb")
    monkeypatch.setattr(database, "_MAP_SIZE", 1 << 14)  # too small for the records: it must grow
    datums = [caffe_pb2.Datum(label=i, data=bytes(5000)) for i in range(20)]
    with database.create("lmdb", str(tmp_path / "db")) as put:
        put((f"{i:03d}".encode(), datum.SerializeToString()) for i, datum in enumerate(datums[:8]))
        put((f"{i:03d}".encode(), datums[i].SerializeToString()) for i in range(8, 20))
    assert list(Database("lmdb", str(tmp_path / "db")).datums()) == datums


def test_what_is_refused_with_any_library_or_none(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "lmdb", None)
    path = str(tmp_path / "db")
    with pytest.raises(ValueError, match="unknown database backend 'sql'; known: lmdb, leveldb"):
        Database("sql", path)
    with pytest.raises(ValueError, match="there is no database"):
        Database("lmdb", path)
    with (
        pytest.raises(ValueError, match="there is no folder"),
        database.create("lmdb", path + "/a/b"),
    ):
        pass
    with pytest.raises(ValueError, match="is there already"):
        database.create("lmdb", str(tmp_path)).__enter__()
    with pytest.raises(ImportError, match="lmdb databases need lmdb: pip install lmdb"):
        database.create("lmdb", path).__enter__()
    monkeypatch.setitem(sys.modules, "plyvel", None)
    with pytest.raises(ImportError, match="leveldb databases need plyvel: pip install plyvel"):
        Database("leveldb", str(tmp_path))


def test_what_is_refused(tmp_path):
    lmdb, path = pytest.importorskip("lmdb"), str(tmp_path / "db")
    with lmdb.open(path) as environment, environment.begin(write=True) as records:
        records.put(b"0", caffe_pb2.Datum(label=1).SerializeToString())
        records.put(b"1", b"\x0a\xff")
    with pytest.raises(ValueError, match="db: record 1 is no Datum"):
        list(Database("lmdb", path).datums())
    with pytest.raises(ValueError, match="is there already"), database.create("lmdb", path):
        pass
