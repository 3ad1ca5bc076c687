"""LMDB and LevelDB databases (src/caffe/util/db_lmdb.cpp, db_leveldb.cpp).

Caffe's databases map keys to serialized Datums.
"""

import contextlib
import importlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from types import ModuleType
from typing import Any, TypeAlias

from google.protobuf.message import DecodeError

from ..glog import error, info
from ..proto import caffe_pb2
from ..views import many
from .lmdb_reader import LmdbFile
from .wire import looks_like

Record: TypeAlias = tuple[bytes, bytes]  # key, value

_LIBRARIES = {"lmdb": "lmdb", "leveldb": "plyvel"}
_OPENED = {"lmdb": "db_lmdb.cpp:35", "leveldb": "db_leveldb.cpp:18"}  # where Caffe logs it
_MAP_SIZE = 1 << 28  # bytes that a new LMDB may take; doubled when it is full


class Database:
    """A database opened for reading. ValueError if it cannot be, ImportError for a LevelDB without
    its library."""

    def __init__(self, backend: str, path: str) -> None:
        name = _library_name(backend)
        if not os.path.exists(path):  # told before a missing library, which would not help
            raise ValueError(f"there is no database {path}")
        self._path = path
        self.count: int | None = None  # of records, where it is stated
        if backend == "lmdb":
            lmdb = _open_lmdb(path)
            self._records, self.count = lmdb.records, lmdb.count
        else:
            self._records = _leveldb_records(path, _import("leveldb", name))
        info(_OPENED[backend], f"Opened {backend} {path}")

    def datums(self, kind: Any = caffe_pb2.Datum) -> Iterator[Any]:
        """All records, messages of a kind, in the order of their keys. ValueError for another."""
        for count, (_, value) in enumerate(self._records()):
            try:
                yield kind.FromString(value)
            except DecodeError as error:
                name, hint = kind.DESCRIPTOR.name, looks_like(value)
                raise ValueError(f"{self._path}: record {count} is no {name}{hint}") from error


def _open_lmdb(path: str) -> LmdbFile:
    try:
        return LmdbFile(path)
    except (OSError, ValueError) as error:
        raise ValueError(f"cannot open LMDB {path}: {error}") from error


def _leveldb_records(path: str, library: ModuleType) -> Callable[[], Iterator[Record]]:
    """The function that goes through a LevelDB's records."""
    try:
        handle = library.DB(path)
    except library.Error as error:
        raise ValueError(f"cannot open LevelDB {path}: {error}") from error

    def records() -> Iterator[Record]:
        try:
            yield from handle.iterator()
        except library.Error as error:
            raise ValueError(f"{path}: {error}") from error

    return records


def _library_name(backend: str) -> str:
    if backend not in _LIBRARIES:
        raise ValueError(f"unknown database backend '{backend}'; known: lmdb, leveldb")
    return _LIBRARIES[backend]


def _import(backend: str, name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(f"{backend} databases need {name}: pip install {name}") from error


@contextlib.contextmanager
def create(backend: str, path: str) -> Iterator[Callable[[Iterable[Record]], None]]:
    """Make a database; yields a function that writes a list of records in one transaction.

    ValueError for an unknown backend or a path that is taken, ImportError without the library,
    OSError where it cannot be written. Of a block that raises before anything was written nothing
    is left; else what is left is said.
    """
    name = _library_name(backend)
    if os.path.exists(path):
        raise ValueError(f"{path} is there already: remove it, or choose another name")
    folder = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(folder):
        raise ValueError(f"cannot make the database {path}: there is no folder {folder}")
    library = _import(backend, name)
    if backend == "lmdb":
        database, put = library.open(os.fsencode(path), map_size=_MAP_SIZE), _put_lmdb
    else:
        database, put = library.DB(path, create_if_missing=True), _put_leveldb
    info(_OPENED[backend], f"Opened {backend} {path}")
    written = 0

    def write(records: Iterable[Record]) -> None:
        nonlocal written
        rows = list(records)
        try:
            put(library, database, rows)
        except library.Error as problem:
            raise OSError(f"cannot write {path}: {problem}") from problem
        written += len(rows)

    try:
        with contextlib.closing(database):
            yield write
    except BaseException:
        if written:
            error("db.cpp:0", f"{path} is not complete: it holds {many(written, 'record')}")
        else:
            shutil.rmtree(path, ignore_errors=True)
        raise


def _put_lmdb(library: ModuleType, database: Any, records: list[Record]) -> None:
    while True:
        try:
            with database.begin(write=True) as transaction:
                for key, value in records:
                    transaction.put(key, value)
            return
        except library.MapFullError:
            database.set_mapsize(2 * database.info()["map_size"])


def _put_leveldb(library: ModuleType, database: Any, records: list[Record]) -> None:
    with database.write_batch() as batch:
        for key, value in records:
            batch.put(key, value)
