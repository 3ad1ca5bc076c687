"""A module of PyTorch under construction: its layers, its forward, its weights, as text and numbers."""

from __future__ import annotations

import ast
import builtins
import inspect
import keyword
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from ..sizes import FixedSize

_HOLE = "\0"  # around a bottom in an expression, until it is known what is written there
# Names that a file has for itself
_IMPORTED = ("Callable", "F", "Path", "Tensor", "load", "math", "nn", "runpy", "self", "torch")


class Value(NamedTuple):
    """A bottom: what is written for it, and its shape in the net."""

    name: str
    shape: tuple[int, ...]
    free: frozenset[int]  # axes whose size is

    @property
    def rank(self) -> int:
        """The number of axes."""
        return len(self.shape)

    def require_known(self, axes: Iterable[int]) -> None:
        """Raise FixedSize if one of these axes is free."""
        if self.free.intersection(axes):
            raise FixedSize

    def __str__(self) -> str:
        return self.name


class Learned(NamedTuple):
    """A parameter of the module: the layer's index and the blob's, and whether it is transposed."""

    layer: int
    blob: int
    transposed: bool


class Line(NamedTuple):
    """A line of forward: what a layer's tops are."""

    layer: int
    targets: list[str]
    expression: str


class Code:
    """What the file says. Writers add modules and parts, and return an expression for their tops."""

    def __init__(self) -> None:
        self.modules: list[str] = []  # lines of __init__
        self.lines: list[Line] = []
        self.parts: dict[str, str] = {}  # name -> source of a function or class
        self.state: dict[str, torch.Tensor] = {}
        self.learned: dict[str, Learned] = {}  # key of `state` -> what it is in the net
        self._attributes = Names(dir(nn.Module))
        self._owners: dict[int, str] = {}  # a blob's memory -> the attribute that holds it
        self.index = 0  # of the layer whose code is added

    def begin(self, index: int) -> None:
        """What is added from here on is of a layer."""
        self.index = index

    # ---- what writers add

    def module(self, layer: Any, text: str, *names: str, **tensors: Any) -> str:
        """Add `self.<layer> = text`; returns `self.<layer>`.

        `names` are the module's parameters for the layer's blobs, in order; one that ends with .T is
        transposed. `tensors` are buffers.
        """
        attribute = self._attributes.of(layer.name)
        comment = "" if attribute == layer.name else f"  # {plain(layer.name)}"
        self.modules.append(f"self.{attribute} = {text}{comment}")
        for k, name in enumerate(names):
            self._parameter(layer, k, f"{attribute}.{name.removesuffix('.T')}", name.endswith(".T"))
        for name, array in tensors.items():
            self.state[f"{attribute}.{name}"] = torch.from_numpy(np.array(array))
        self._freeze(layer, attribute, names)
        return f"self.{attribute}"

    def parameter(self, layer: Any, text: str) -> str:
        """Add a parameter of the module's own, `self.<layer> = text`."""
        attribute = self._attributes.of(layer.name)
        self.modules.append(f"self.{attribute} = {text}")
        self._parameter(layer, 0, attribute, False)
        return f"self.{attribute}"

    def _parameter(self, layer: Any, k: int, key: str, transposed: bool) -> None:
        blob = layer.blobs[k]
        values = torch.from_numpy(blob.data.copy())
        self.state[key] = values.t().contiguous() if transposed else values
        owner = self._owners.setdefault(id(blob._data), key)
        if owner == key:
            self.learned[key] = Learned(self.index, k, transposed)
            return
        if self.state[owner].shape != self.state[key].shape:
            raise layer.error(
                f"shares its parameter {k} with {owner}, in another shape: PyTorch cannot say that"
            )
        self.state[key] = self.state[owner]
        self.modules.append(f"self.{key} = self.{owner}")

    def _freeze(self, layer: Any, attribute: str, names: Sequence[str]) -> None:
        """Say that parameters whose lr_mult is 0 do not learn."""
        frozen = [n for n, learns in zip(names, layer.param_propagate_down) if not learns]
        if frozen and len(frozen) == len(names):
            self.modules.append(f"self.{attribute}.requires_grad_(False)")
        else:
            self.modules += [f"self.{attribute}.{name}.requires_grad_(False)" for name in frozen]

    def part(self, *things: Callable[..., Any]) -> str:
        """Put the source of functions and classes into the file; returns the last one's name."""
        for thing in things:
            self.parts.setdefault(thing.__name__, inspect.getsource(thing).rstrip())
        return things[-1].__name__

    # ---- forward

    def add(self, targets: Sequence[str], expression: str) -> None:
        """Add a line to forward."""
        self.lines.append(Line(self.index, list(targets), expression))

    def forward(self, traced: bool = False) -> list[str]:
        """The lines of forward. Where a layer works in place on what the line before made, the two
        are one, unless every layer's tops are put into `trace`."""
        written: list[Line] = []
        for line in self.lines:
            before = written[-1] if written else None
            call = before and before.targets == line.targets and _is_call(before.expression)
            target = line.targets[0]
            hole = f"{_HOLE}{target}{_HOLE}"
            if before and call and not traced and line.expression.count(hole) == 1:
                inside = line.expression.replace(hole, before.expression)
                written[-1] = Line(line.layer, line.targets, inside)
            else:
                written.append(line)
        text = []
        for layer, targets, expression in written:
            text.append(f"{', '.join(targets)} = {expression.replace(_HOLE, '')}")
            if traced:
                text.append(f"trace[{layer}] = [{', '.join(f'{t}.clone()' for t in targets)}]")
        return text

    @staticmethod
    def bottom(name: str, shape: Sequence[int], free: Iterable[int]) -> Value:
        """A bottom as writers get it."""
        return Value(f"{_HOLE}{name}{_HOLE}", tuple(shape), frozenset(free))


class Names:
    """Names of layers and blobs as Python's: each its own, none of the language's."""

    def __init__(self, taken: Sequence[str]) -> None:
        self.taken = {*taken, *keyword.kwlist}
        self.known: dict[str, str] = {}

    def of(self, name: str) -> str:
        """The identifier for a name."""
        if name not in self.known:
            made = re.sub(r"\W", "_", name) or "_"
            made = f"_{made}" if made[0].isdigit() else made
            made = f"n{made}" if made.startswith("__") else made  # which classes hide
            while made in self.taken:
                made += "_"
            self.taken.add(made)
            self.known[name] = made
        return self.known[name]


def variables(parts: Sequence[str]) -> Names:
    """The names of forward's variables; a layer's attribute may have the same."""
    return Names([*_IMPORTED, *parts, *dir(builtins)])


def class_name(net: str, parts: Iterable[str] = ()) -> str:
    """The name of the class for a net's name: VocFcn8s for voc-fcn8s; not one that the file needs."""
    words = "".join(word[:1].upper() + word[1:] for word in re.split(r"[\W_]+", net))
    taken = {"", *_IMPORTED, *parts, *dir(builtins)}
    return f"Net{words}" if words in taken or words[0].isdigit() else words


def plain(text: str) -> str:
    """A name for comments and docstrings: in them nothing ends a line, or the string."""
    return re.sub(r"[^\w ./+@:()-]", "_", text)


def number(value: float) -> str:
    """A float32 as the shortest text that gives it again."""
    return repr(float(str(np.float32(value))))


def _is_call(expression: str) -> bool:
    return isinstance(ast.parse(expression.replace(_HOLE, ""), mode="eval").body, ast.Call)
