"""LMDB files read without the lmdb library, which opens a database once a process and no more.

A training and a test net, and the script itself, may read one database at the same time: each has a
handle of its own, which goes with it. The layout is that of LMDB 0.9 on 64-bit machines (struct
MDB_meta, MDB_page and MDB_node in liblmdb/mdb.c): a tree of pages, records in its leaves in the order
of their keys.
"""

import mmap
import os
import struct
from collections.abc import Iterator

from .paths import require_regular

_MAGIC, _VERSION = 0xBEEFC0DE, 1
_BRANCH, _LEAF = 0x01, 0x02  # flags of a page
_BIG, _NOT_PLAIN = 0x01, 0x06  # flags of a record: in pages of its own; a database or duplicates
_NO_PAGE = 2**64 - 1  # the root of an empty tree
_DEEPEST = 32  # levels that liblmdb's own cursors can go

_HEAD = struct.Struct(
    "<QHHHH"
)  # page number, padding, flags, end of the offsets, end of free space
_META = struct.Struct(
    "<IIQQ 48x IHHQQQQQ QQ"
)  # behind the head; 48 bytes of the list of free pages
_PAGE_SIZE = struct.Struct("<I")  # at the start of these 48 bytes
_NODE = struct.Struct("<HHHH")  # low and high half of the size, flags, length of the key


class LmdbFile:
    """An LMDB, as it was when it was opened. OSError if it cannot be opened, ValueError for no LMDB."""

    def __init__(self, path: str) -> None:
        self._path = os.path.join(path, "data.mdb") if os.path.isdir(path) else path
        require_regular(self._path)
        with open(self._path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size < _HEAD.size + _META.size:
                raise ValueError(f"{self._path} is no LMDB: it has {size} bytes")
            self._bytes = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._page_size = self._meta(0)[0]
        # two descriptions of the tree take turns: the later one counts
        _, self._root, self.count = max(self._meta(at)[1:] for at in (0, self._page_size))

    def _meta(self, at: int) -> tuple[int, int, int, int]:
        """(page size, transaction, page of the root, number of records) of a description."""
        start = at + _HEAD.size
        if start + _META.size > len(self._bytes):
            raise self._damaged("it ends within its first pages")
        magic, version, *fields = _META.unpack_from(self._bytes, start)
        if magic != _MAGIC:
            raise ValueError(f"{self._path} is no LMDB, or one of a 32-bit machine")
        if version != _VERSION:
            raise ValueError(f"{self._path} is of LMDB's format {version}, {_VERSION} is known")
        (page_size,) = _PAGE_SIZE.unpack_from(self._bytes, start + 24)
        if page_size < 512:
            raise self._damaged(f"pages of {page_size} bytes")
        entries, root, _, transaction = fields[-4:]
        return page_size, transaction, root, entries

    def records(self) -> Iterator[tuple[bytes, bytes]]:
        """(key, value) of all records, in the order of their keys. ValueError where it is damaged."""
        count = read = 0
        most = len(self._bytes) // self._page_size
        pages: list[Iterator[int]] = [iter([self._root] if self._root != _NO_PAGE else [])]
        while pages:
            number = next(pages[-1], None)
            if number is None:
                pages.pop()
                continue
            read += 1
            if read > most:
                raise self._damaged(f"its tree has more than the file's {most} pages")
            flags, nodes = self._nodes(number)
            if flags & _BRANCH and len(pages) < _DEEPEST:
                pages.append(iter([self._child(node) for node in nodes]))
                continue
            if not flags & _LEAF:
                raise self._damaged(f"page {number} is none of the tree")
            for node in nodes:
                count += 1
                if count > self.count:  # pages that lead back to each other have no end
                    raise self._damaged(f"more than the {self.count} records that it states")
                yield self._record(node)

    def _nodes(self, number: int) -> tuple[int, list[int]]:
        """(flags, where each node begins) of a page of the tree."""
        page = number * self._page_size
        head = self._read(page, self._page_size)
        _, _, flags, end, _ = _HEAD.unpack_from(head)
        if not _HEAD.size <= end <= self._page_size:
            raise self._damaged(f"page {number} has its offsets end at {end}")
        offsets = struct.unpack_from(f"<{(end - _HEAD.size) // 2}H", head, _HEAD.size)
        return flags, [page + offset for offset in offsets]

    def _child(self, node: int) -> int:
        """The page that a branch's node leads to; its number's upper part stands in the flags."""
        low, high, upper, _ = _NODE.unpack(self._read(node, _NODE.size))
        return low | high << 16 | upper << 32

    def _record(self, node: int) -> tuple[bytes, bytes]:
        low, high, flags, key_size = _NODE.unpack(self._read(node, _NODE.size))
        key_at = node + _NODE.size
        size, value_at = low | high << 16, key_at + key_size
        if flags & _NOT_PLAIN:
            raise ValueError(f"{self._path} holds databases of its own, which Caffe's do not")
        if flags & _BIG:
            (page,) = struct.unpack("<Q", self._read(value_at, 8))
            value_at = page * self._page_size + _HEAD.size
        return self._read(key_at, key_size), self._read(value_at, size)

    def _read(self, start: int, size: int) -> bytes:
        if start + size > len(self._bytes):
            raise self._damaged(f"byte {start + size} of {len(self._bytes)} is asked for")
        return self._bytes[start : start + size]

    def _damaged(self, reason: str) -> ValueError:
        return ValueError(f"{self._path} is a damaged LMDB: {reason}")
