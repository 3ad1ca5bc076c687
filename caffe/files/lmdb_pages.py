"""Reads LMDB databases page by page, each size and position checked.

The library trusts its files: one whose pages point outside of it ends the process that reads it, and
databases are passed around. Writing is left to the library. (mdb.c of LMDB 0.9; data version 1, 64 bits)
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Iterator
from typing import NoReturn

from .paths import Path, require_regular

_MAGIC, _VERSION = 0xBEEFC0DE, 1
_META = struct.Struct(
    "<16xII8xQ"
)  # after the page's header: magic, version, address, size of the map
_DB = struct.Struct(
    "<IHHQQQQQ"
)  # pad (of the first: page size), flags, depth, 3 counts, entries, root
_ENDS = struct.Struct("<QQ")  # last page, number of the transaction
_DBS, _AFTER = 40, 136  # where they begin in a meta page
_HEADER = struct.Struct("<8x2xHHH")  # flags, lower, upper
_HEADER_SIZE, _NODE_SIZE = 16, 8
_NODE = struct.Struct("<HHHH")  # the low and the high half of a size, flags, size of the key
_BRANCH, _LEAF, _OVERFLOW = 1, 2, 4  # kinds of pages
_BIG = 1  # a node's value lies on pages of its own; other flags are of features that Caffe has not
_DUPLICATES = 4
_NOWHERE = 2**64 - 1  # the root of an empty database


class Pages:
    """The records of an LMDB file. ValueError, naming file and page, for what is no LMDB or damaged."""

    def __init__(self, path: Path) -> None:
        """`path` is the folder with data.mdb, or the file itself."""
        path = os.fspath(path)
        self.path = os.path.join(path, "data.mdb") if os.path.isdir(path) else path
        try:
            require_regular(self.path)
            with open(self.path, "rb") as file:
                self.size = os.fstat(file.fileno()).st_size
                empty = not self.size
                self.bytes = b"" if empty else mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except OSError as error:
            why = error.strerror or error
            raise ValueError(f"cannot open LMDB {self.path}: {why}") from None
        self.root, self.entries = self._newest()

    def _newest(self) -> tuple[int, int]:
        """(root page, number of records) of the last whole transaction."""
        self.page_size = 0
        first = self._meta(0)
        if not 256 <= self.page_size <= 65536:
            self._fail(0, f"pages of {self.page_size} bytes")
        second = self._meta(self.page_size)
        return max(first, second)[1:]

    def _meta(self, start: int) -> tuple[int, int, int]:
        """(number of the transaction, root page, number of records) that a meta page states."""
        if start + _AFTER + _ENDS.size > self.size:
            self._fail(0, "too short")
        magic, version, _ = _META.unpack_from(self.bytes, start)
        if magic != _MAGIC or version != _VERSION:
            self._fail(start, "no LMDB, or of another version or byte order")
        page_size = _DB.unpack_from(self.bytes, start + _DBS)[0]
        self.page_size = self.page_size or page_size
        _, flags, _, _, _, _, entries, root = _DB.unpack_from(self.bytes, start + _DBS + _DB.size)
        if flags & _DUPLICATES:
            self._fail(start, "several values a key, which Caffe's databases have not")
        return _ENDS.unpack_from(self.bytes, start + _AFTER)[1], root, entries

    def values(self) -> Iterator[bytes]:
        """All values, in the order of their keys."""
        if self.root == _NOWHERE:
            return
        read = 0
        waiting = [self.root]  # pages, the next one last
        while waiting:
            page = waiting.pop()
            read += 1
            if read > self.size // self.page_size:
                self._fail(page, "pages that lead back to each other")
            flags, nodes = self._nodes(page)
            if flags & _LEAF:
                for node in nodes:
                    yield self._value(page, node)
            else:
                waiting += [self._child(node) for node in reversed(nodes)]

    def _start(self, page: int, count: int = 1) -> int:
        """The byte at which a page begins that is whole in the file, as are those behind it."""
        if page < 2 or page + count > self.size // self.page_size:
            self._fail(page, f"it is none of the file's {self.size // self.page_size} pages")
        return page * self.page_size

    def _nodes(self, page: int) -> tuple[int, list[int]]:
        """(flags, where the nodes begin) of a branch or leaf."""
        start = self._start(page)
        flags, lower, upper = _HEADER.unpack_from(self.bytes, start)
        kind = flags & (_BRANCH | _LEAF | _OVERFLOW)
        if kind not in (_BRANCH, _LEAF) or flags & ~(_BRANCH | _LEAF | 0xC010):
            self._fail(page, f"flags {flags:#x}")
        if not _HEADER_SIZE <= lower <= upper <= self.page_size:
            self._fail(page, f"nodes from {lower} to {upper}")
        count = (lower - _HEADER_SIZE) // 2
        at = struct.unpack_from(f"<{count}H", self.bytes, start + _HEADER_SIZE)
        if any(not upper <= each <= self.page_size - _NODE_SIZE for each in at):
            self._fail(page, "a node outside of it")
        return flags, [start + each for each in at]

    def _child(self, node: int) -> int:
        """The page that a branch's node leads to."""
        low, high, top, _ = _NODE.unpack_from(self.bytes, node)
        return int(low | high << 16 | top << 32)

    def _value(self, page: int, node: int) -> bytes:
        low, high, flags, key = _NODE.unpack_from(self.bytes, node)
        size, start = low | high << 16, node + _NODE_SIZE + key
        end = (page + 1) * self.page_size
        if flags & ~_BIG:
            self._fail(page, f"a node with flags {flags:#x}")
        if start + (8 if flags else size) > end:
            self._fail(page, f"a record of {size} bytes that leaves it")
        if flags:
            first = int.from_bytes(self.bytes[start : start + 8], "little")
            begin = self._start(first, -(-(_HEADER_SIZE + size) // self.page_size))
            if not _HEADER.unpack_from(self.bytes, begin)[0] & _OVERFLOW:
                self._fail(first, "no page of a large record")
            start = begin + _HEADER_SIZE
        return bytes(self.bytes[start : start + size])

    def _fail(self, page: int, reason: str) -> NoReturn:
        raise ValueError(f"{self.path}: damaged, or no LMDB: page {page}: {reason}")
