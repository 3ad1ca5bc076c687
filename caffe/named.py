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

    def __init__(self, kind: str, net: str, blobs: Iterable[tuple[str, Blobs]]) -> None:
        """`kind` is what the names are of; `net` the net's name, for errors."""
        super().__init__(blobs)
        self._kind, self._net = kind, net

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
        return type(self), (self._kind, self._net, list(self.items()))
