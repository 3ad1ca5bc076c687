"""The arrays that Net's methods take and return: in batches, and fetched from a GPU when read."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

import numpy as np

from .blob import Blob

Arrays = Mapping[str, np.ndarray]


class LazyArrays(Mapping[str, np.ndarray]):
    """name -> array, fetched from a GPU when asked for: to read one blob is not to wait for all."""

    def __init__(
        self,
        names: Collection[str],
        check: Callable[[], None],
        fetch: Callable[[str], np.ndarray],
    ):
        """`check` is called before every fetch; it raises what layers found in values on the GPU."""
        self._names, self._check, self._fetch = names, check, fetch

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._names:
            raise KeyError(name)
        self._check()
        return self._fetch(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __repr__(self) -> str:
        return repr(dict(self))

    def __reduce__(self):
        """For copy and pickle: the arrays, fetched."""
        return dict, (dict(self),)


_MISMATCH = {
    "data": "Input blob arguments do not match net inputs.",
    "diff": "Top diff arguments do not match net outputs.",
}


def fill(blobs: Mapping[str, Blob], arrays: Arrays, names: Collection[str], side: str) -> None:
    """Write arrays into blobs' "data" or "diff"; all blobs of `names`, or none.

    Raises KeyError for other names, ValueError for an array that does not fit its blob.
    """
    if not arrays:
        return
    if set(arrays) != set(names):
        raise KeyError(f"{_MISMATCH[side]} Got {sorted(arrays)}, the net has {sorted(names)}.")
    for name, values in arrays.items():
        array, shape = np.asarray(values), list(blobs[name].shape)
        about = f"blob '{name}' has shape {shape}, got an array of shape {list(array.shape)}"
        fits = f"net.blobs['{name}'].reshape{array.shape} before forward makes room for it"
        if array.ndim == 0 or array.shape[0] != shape[0]:
            kind = {"data": "Input", "diff": "Diff"}[side]
            way = (
                "array[numpy.newaxis] is a batch of one" if list(array.shape) == shape[1:] else fits
            )
            raise ValueError(f"{kind} is not batch sized: {about}; {way}")
        try:
            getattr(blobs[name], side)[...] = array
        except ValueError as error:
            raise ValueError(f"{about} ({error}); {fits}") from None


def count_of(arrays: Arrays) -> int:
    """The number of items, along the first axis; 0 without arrays."""
    return len(next(iter(arrays.values()), ()))


def copied(arrays: Arrays) -> dict[str, np.ndarray]:
    """Copies, which the next pass leaves alone."""
    return {name: array.copy() for name, array in arrays.items()}


def split(arrays: Arrays, size: int) -> Iterator[dict[str, np.ndarray]]:
    """The arrays in batches of `size` items; the last batch is padded with zeros."""
    count = count_of(arrays)
    for at in range(0, count, size):
        batch = {name: np.asarray(array)[at : at + size] for name, array in arrays.items()}
        short = size - min(size, count - at)
        yield {
            name: np.concatenate([part, np.zeros((short,) + part.shape[1:])]) if short else part
            for name, part in batch.items()
        }


def join(names: Iterable[str], passes: Iterable[Arrays], count: int) -> dict[str, np.ndarray]:
    """The arrays of several passes as one each, without padding: the first `count` items, or all."""
    joined: dict[str, list[np.ndarray]] = {name: [] for name in names}
    for arrays in passes:
        for name, array in copied(arrays).items():
            joined[name].extend(array)
    return {name: np.asarray(rows[:count] if count else rows) for name, rows in joined.items()}
