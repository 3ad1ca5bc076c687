"""What a file may claim to hold: sizes are compared with the file's before anything is allocated.

A few bytes can state any size, and compression turns a thousand bytes into one. So what a file
unpacks to is at most LEAST, or FOLD times the file's own size where that is more: of a file of under
1 MB, with the copies that are made on the way, that stays below 2 GiB.
"""

import os
import zipfile
from typing import IO, Any

from .paths import Path

LEAST = 1 << 29  # bytes
FOLD = 512


def require_plausible(path: Path | int, claimed: int, what: str) -> None:
    """Raise ValueError if `claimed` bytes are more than a file may unpack to.

    `path` is the file, or its size; `what` is what claims them, for the error.
    """
    size = path if isinstance(path, int) else os.path.getsize(path)
    most = max(LEAST, FOLD * size)
    if claimed > most:
        raise ValueError(
            f"{what} would take {claimed:,} bytes, of a file of {size:,}: more than {most:,} are not "
            "unpacked; store it without compression if it is really that large"
        )


def pixels(path: Path | int, image: Any) -> None:
    """Raise OSError if a picture that Pillow has opened claims too many pixels for its file."""
    width, height = image.size
    try:
        claimed = width * height * len(image.getbands()) * 4  # as floats
        require_plausible(path, claimed, f"a picture of {width}x{height} pixels")
    except ValueError as error:
        raise OSError(str(error)) from None


def zipped(path: Path) -> None:
    """Raise ValueError if the members of a zip file (.npz, .pth) claim too much.

    Of an .npy inside the header is read, too: what it states is allocated before the rest is read.
    """
    with zipfile.ZipFile(path) as content:
        members = content.infolist()
        require_plausible(path, sum(member.file_size for member in members), "what it holds")
        for member in members:
            if member.filename.endswith(".npy"):
                with content.open(member) as file:
                    npy(file, member.file_size, member.filename)


def npy(file: IO[bytes], size: int, name: str) -> None:
    """Raise ValueError unless the array that an .npy states in its header is in its `size` bytes."""
    from numpy.lib import format

    version = format.read_magic(file)
    reader = format.read_array_header_1_0 if version == (1, 0) else format.read_array_header_2_0
    shape, _, dtype = reader(file)
    stated = dtype.itemsize
    for length in shape:
        stated *= length
    if stated > size or min(shape, default=0) < 0 or dtype.hasobject:
        what = "Python objects" if dtype.hasobject else f"{list(shape)} of {dtype}"
        raise ValueError(f"{name}: its header states {what}, and it has {size:,} bytes")
