"""MATLAB's .mat files, read by SciPy once it is known what they unpack to."""

import zlib
from typing import Any

from .limits import require_plausible
from .paths import Path, require_regular

_HEADER, _COMPRESSED = 128, 15  # bytes before the first element; an element's type
_PART = 1 << 20


def read_mat(path: Path) -> dict[str, Any]:
    """The variables of a .mat file, up to version 7. ValueError for one that cannot be read.

    What SciPy raises for broken files is of half a dozen unrelated types.
    """
    import scipy.io  # takes a while

    try:
        require_regular(path)
        require_plausible(path, _unpacked(path), "what it holds")
        content: dict[str, Any] = scipy.io.loadmat(path)
    except MemoryError as error:  # what it states is asked for before it is read
        raise ValueError(f"{path}: not a readable .mat file: it states a size too large") from error
    except Exception as error:
        raise ValueError(f"{path}: not a readable .mat file: {error}") from error
    return content


def _unpacked(path: Path) -> int:
    """The bytes of all elements, the compressed ones unpacked; a part at a time, and not kept."""
    total = 0
    with open(path, "rb") as file:
        header = file.read(_HEADER)
        order: Any = "big" if header[126:128] == b"MI" else "little"
        if not header.startswith(b"MATLAB"):
            return total  # version 4: nothing is compressed, and SciPy compares the sizes
        while len(tag := file.read(8)) == 8:
            kind, size = (int.from_bytes(part, order) for part in (tag[:4], tag[4:]))
            if kind != _COMPRESSED:
                file.seek(size + -size % 8, 1)
                total += size
                continue
            unpacker, left = zlib.decompressobj(), size
            while left and (packed := file.read(min(_PART, left))):
                left -= len(packed)
                while packed:
                    total += len(unpacker.decompress(packed, _PART))
                    packed = unpacker.unconsumed_tail
                require_plausible(path, total, "what it holds")
    return total
