"""Files that a file names: which a prototxt, a solver or a list may have read and written.

Nets are passed around, and who runs one has not read every path in it. Written is only below the
working directory, the prototxt's folder and what `allow_writing` has added. Read is any regular
file, since published nets name data by absolute paths and by `../`; after `read_only_below` only
what lies below the folders given.
"""

import contextlib
import os
from collections.abc import Iterator
from contextvars import ContextVar

from .paths import Path, require_regular

_writable: list[str] = []
_readable: list[str] | None = None  # None: everywhere
_prototxts: ContextVar[str | None] = ContextVar("folder of the prototxt", default=None)


def allow_writing(folder: Path) -> None:
    """Let prototxts name files to write (snapshot_prefix, HDF5Output) below a folder from now on.

    NotADirectoryError if there is no such folder.
    """
    _writable.append(_folder(folder, "allow_writing"))


def read_only_below(*folders: Path) -> None:
    """From now on prototxts, and the lists they name, may name files to read below these folders alone.

    Without any, everywhere again. For nets of strangers. NotADirectoryError for a folder that is not there.
    """
    global _readable
    _readable = [_folder(each, "read_only_below") for each in folders] or None


def _folder(folder: Path, function: str) -> str:
    if not os.path.isdir(folder):
        raise NotADirectoryError(f"caffe.{function}: there is no folder {folder}")
    return os.path.realpath(folder)


@contextlib.contextmanager
def beside(folder: str | None) -> Iterator[None]:
    """Inside of the block a prototxt is used that lies in `folder`."""
    token = _prototxts.set(folder)
    try:
        yield
    finally:
        _prototxts.reset(token)


def to_read(path: str) -> str:
    """A path that a file names, to be read. OSError for a device or a pipe, which may never end, and
    for a path that is not allowed."""
    require_regular(path)
    where = os.path.realpath(path)
    if _readable is not None and not any(_is_below(where, each) for each in _readable):
        raise PermissionError(
            f"{path} leads to {where}, and files are read below {', '.join(_readable)} alone "
            "(caffe.read_only_below)"
        )
    return path


def to_write(path: str, folder: str | None = None) -> str:
    """A path that a file names, to be written. PermissionError if it is not allowed.

    `folder` is where that file lies, if it is no prototxt of a net that is being built. Links to
    folders are the caller's own; a link in place of the file is not followed.
    """
    places = [os.getcwd(), *filter(None, (folder, _prototxts.get())), *_writable]
    where = os.path.abspath(path)
    inside = any(_is_below(where, os.path.abspath(each)) for each in places)
    inside = inside or any(
        _is_below(os.path.realpath(path), os.path.realpath(each)) for each in places
    )
    if not inside:
        above = os.path.dirname(where)
        raise PermissionError(
            f"{path} leads to {where}, and a prototxt may have files written only below "
            f"{', '.join(dict.fromkeys(places))}: call caffe.allow_writing({above!r}) if that is meant"
        )
    if os.path.islink(where):
        raise PermissionError(f"{path} is a link to {os.path.realpath(path)}: remove it first")
    return path


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(os.path.join(folder, ""))
