"""A net's blobs, and its layers' parameters, by name."""

from __future__ import annotations

import collections
from collections.abc import Iterable
from typing import TypeVar

from . import views
from .names import did_you_mean

Blobs = TypeVar("Blobs")


class OrderedDict(collections.OrderedDict[str, Blobs]):
    """Blobs, or lists of blobs, by name in the net's order.

    pycaffe's type, with an error that says more, shown as a table.
    """

    def __init__(self, held: type, net: str, blobs: Iterable[tuple[str, Blobs]]) -> None:
        """`held` is Blob, or BlobVec of the layers with parameters; `net` the net's name, for errors."""
        self._held, self._net = held, net
        super().__init__(blobs)

    @property
    def _kind(self) -> str:
        """What the names are of."""
        return "blob" if self._held.__name__ == "Blob" else "layer with parameters"

    def __setitem__(self, name: str, value: Blobs) -> None:
        """Raises TypeError for what is not held: an array goes into a blob."""
        if not isinstance(value, self._held):
            blob = f"blobs[{name!r}]" if self._kind == "blob" else f"params[{name!r}][0]"
            raise TypeError(
                f"net {self._net!r}: {self._kind} {name!r} is written into, not replaced by a value of "
                f"type {type(value).__name__}: write net.{blob}.data[...] = array"
            )
        super().__setitem__(name, value)

    def __missing__(self, name):
        hint = did_you_mean(str(name), self, "; the nearest known is '{}'", cutoff=0)
        raise KeyError(f"no {self._kind} {name!r} in net {self._net!r}{hint}")

    def __repr__(self) -> str:
        return "\n".join(
            [views.named_head(self), views.text_table(views.named_rows(self))]
        ).rstrip()

    def _repr_html_(self) -> str:
        table = views.html_table(["name", "shape", "size"], views.named_rows(self))
        return f"<div><p>{views.named_head(self)}</p>{table}</div>"

    def __reduce__(self):
        """For copy and pickle: what the constructor takes."""
        return type(self), (self._held, self._net, list(self.items()))
