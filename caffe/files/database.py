"""LMDB and LevelDB databases (src/caffe/util/db_lmdb.cpp, db_leveldb.cpp).

Caffe's databases map keys to serialized Datums.
"""

import contextlib
import importlib
import os
from collections.abc import Callable, Iterable, Iterator
from types import ModuleType
from typing import Any, TypeAlias

from google.protobuf.message import DecodeError

from ..glog import info
from ..proto import caffe_pb2
from .lmdb_pages import Pages

Record: TypeAlias = tuple[bytes, bytes]  # key, value

_LIBRARIES = {"lmdb": "lmdb", "leveldb": "plyvel"}
_OPENED = {"lmdb": "db_lmdb.cpp:35", "leveldb": "db_leveldb.cpp:18"}  # where Caffe logs it
_MAP_SIZE = 1 << 28  # bytes that a new LMDB may take; doubled when it is full


class Database:
    """A database opened for reading. ValueError if it cannot be, ImportError without the library.

    An LMDB needs none: lmdb_pages.py reads it, so that a damaged one is an error.
    """

    def __init__(self, backend: str, path: str) -> None:
        name = _library_name(backend)
        if not os.path.exists(path):  # told before a missing library, which would not help
            raise ValueError(f"there is no database {path}")
        self._path = path
        self.entries: int | None = None  # how many records it has, where that is known
        self._values: Callable[[], Iterator[bytes]]
        self._errors: tuple[type[Exception], ...] = (DecodeError,)
        if backend == "lmdb":
            pages = Pages(path)
            self._values, self.entries = pages.values, pages.entries
        else:
            library = _import(backend, name)
            self._errors += (library.Error,)
            try:
                handle = library.DB(path)
            except library.Error as error:
                raise ValueError(f"cannot open LevelDB {path}: {error}") from error
            self._values = lambda: handle.iterator(include_key=False)
        info(_OPENED[backend], f"Opened {backend} {path}")

    def datums(self, kind: Any = caffe_pb2.Datum) -> Iterator[Any]:
        """All records, messages of a kind, in the order of their keys. ValueError for another."""
        count = 0
        try:
            for value in self._values():
                yield kind.FromString(value)
                count += 1
        except self._errors as error:
            name = kind.DESCRIPTOR.name
            raise ValueError(f"{self._path}: record {count} is no {name} ({error})") from error


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

    ValueError for an unknown backend or a path that is taken, ImportError without the library.
    """
    name = _library_name(backend)
    if os.path.exists(path):
        raise ValueError(f"{path} is there already: remove it, or choose another name")
    folder = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(folder):
        raise ValueError(f"cannot make the database {path}: there is no folder {folder}")
    library = _import(backend, name)
    if backend == "lmdb":
        database, put = library.open(path, map_size=_MAP_SIZE), _put_lmdb
    else:
        database, put = library.DB(path, create_if_missing=True), _put_leveldb
    info(_OPENED[backend], f"Opened {backend} {path}")
    with contextlib.closing(database):
        yield lambda records: put(library, database, list(records))


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
