"""The order in which a data layer takes the pictures of its list, round after round."""

import random
from collections.abc import Sequence
from typing import Any

from ..layer import Layer
from ..proto import caffe_pb2
from ..workers import common_seed, solver_count, solver_rank


def share(layer: Layer) -> tuple[int, int]:
    """(how many solvers share a layer's data, which of them this is): in TRAIN alone."""
    train = layer.phase == caffe_pb2.TRAIN
    return (solver_count(), solver_rank()) if train else (1, 0)


class PictureOrder:
    """Numbers of a list's pictures, again and again, as a layer's `shuffle` and `rand_skip` say.

    Several solvers have one order, of which each takes its own: the first takes the first, the second
    the second, so that no picture comes twice in a round. `draws` shuffles where there is one solver.
    """

    def __init__(self, layer: Layer, draws: random.Random, count: int) -> None:
        self.count, self.rank = share(layer)
        self.draws = draws if self.count == 1 else random.Random(common_seed())
        self.order, self.shuffled, self.position = list(range(count)), layer.param.shuffle, 0
        if self.shuffled:
            self.draws.shuffle(self.order)
        if layer.param.rand_skip:
            self.position = self.draws.randrange(layer.param.rand_skip)
        if self.position >= count:
            raise layer.error(f"rand_skip {layer.param.rand_skip} skips all {count} pictures")

    def next(self) -> int:
        """The next number that is this solver's."""
        return [self.advance() for _ in range(self.count)][self.rank]

    def advance(self) -> int:
        """The next number of all solvers."""
        number = self.order[self.position]
        self.position += 1
        if self.position == len(self.order):
            self.position = 0
            if self.shuffled:
                self.draws.shuffle(self.order)
        return number

    def state(self) -> dict[str, Any]:
        """Where it is, for `go_to`; the same for all solvers."""
        shuffled = {"order": list(self.order)} if self.shuffled else {"order": []}
        shared = {"draws": self.draws.getstate()} if self.count > 1 else {}
        return {"position": self.position} | shuffled | shared

    def go_to(self, state: dict[str, Any]) -> None:
        """Go where `state` was. ValueError for a list of other length."""
        self.position = state["position"]
        self.order = permutation(state["order"] or range(len(self.order)), len(self.order))
        if self.count > 1 and "draws" in state:  # else one solver wrote it
            self.draws.setstate(state_of_json(state["draws"]))


def state_of_json(state: Any) -> tuple[Any, ...]:
    """The state of a random.Random, of which JSON has made lists."""
    version, numbers, gauss = state
    return version, tuple(numbers), gauss


def permutation(order: Sequence[int], count: int) -> list[int]:
    """An order of so many things; ValueError for one of others."""
    if sorted(order) != list(range(count)):
        raise ValueError(f"an order of {len(order)} pictures, for a list of {count}")
    return list(order)
