"""A net's blobs and parameters by name."""

from __future__ import annotations

import collections
from collections.abc import Iterable
from typing import TypeVar

from .names import did_you_mean

Thing = TypeVar("Thing")


class OrderedDict(collections.OrderedDict[str, Thing]):
    """Things of a net by name, in the net's order: pycaffe's type, with an error that says more."""

    def __init__(self, kind: str, net: str, things: Iterable[tuple[str, Thing]]) -> None:
        """`kind` is what the names are of; `net` the net's name, for errors."""
        super().__init__(things)
        self._kind, self._net = kind, net

    def __missing__(self, name):
        hint = did_you_mean(str(name), self, "; the nearest known is '{}'", cutoff=0)
        raise KeyError(f"no {self._kind} {name!r} in net {self._net!r}{hint}")

    def __reduce__(self):
        """For copy and pickle: what the constructor takes."""
        return type(self), (self._kind, self._net, list(self.items()))
