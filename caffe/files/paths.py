"""Files that must be there, and files that are replaced whole or not at all."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeAlias

Path: TypeAlias = str | os.PathLike[str]


def require_file(path: Path) -> None:
    """Raise RuntimeError unless there is a file at `path`, TypeError for what is no path."""
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"a file's path is wanted, got a {type(path).__name__}")
    if not os.path.isfile(path):
        raise RuntimeError(f"Could not open file {path}")


def require_regular(path: Path) -> None:
    """Raise OSError for what is there and neither a file nor a folder."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):  # whoever opens it will say why it cannot be
        return
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise OSError(f"{path} is a device, a pipe or a socket, and no file")


def could_not_open(path: Path, error: OSError) -> RuntimeError:
    """Caffe's error for a file that cannot be opened, with the reason unless it is missing."""
    reason = "" if isinstance(error, FileNotFoundError) else f" ({error.strerror or error})"
    return RuntimeError(f"Could not open file {path}{reason}")


def read_bytes(path: Path) -> bytes:
    """A file's content. RuntimeError if it cannot be opened."""
    try:
        require_regular(path)
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise could_not_open(path, error) from None


@contextmanager
def replacing(path: Path) -> Iterator[str]:
    """Write a file whole or not at all.

    Yields the name of a temporary file in the same folder, for the caller to write. It replaces
    `path` when the block ends and it is on the disk, and is removed when the block raises.
    FileNotFoundError, naming the folder, if there is no such folder, IsADirectoryError if `path` is one.
    """
    path = os.path.realpath(path)
    folder, base = os.path.split(path)
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"cannot write {base}: there is no folder {folder}")
    if os.path.isdir(path):
        raise IsADirectoryError(f"cannot write {path}: it is a folder")
    temporary = os.path.join(folder, f".{base}.{os.getpid()}.part")
    try:
        yield temporary
        _flush(temporary)
        os.replace(temporary, path)
        _flush(folder)  # where the new name stands
    except BaseException:
        if os.path.exists(temporary):
            os.remove(temporary)
        raise


def _flush(path: str) -> None:
    """Wait until a file, or a folder's list of names, is on the disk, where the system can say so."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:  # Windows opens no folders
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # file systems that have no such thing
            raise
    finally:
        os.close(descriptor)


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file whole or not at all; errors as `replacing`."""
    with replacing(path) as temporary, open(temporary, "wb") as file:
        file.write(data)
