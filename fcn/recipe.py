"""A model's recipe: what each solve.py says beside its solver.prototxt."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple


class Schedule(NamedTuple):
    """How long to train: `rounds` times `steps` steps, with the scores after every round."""

    rounds: int
    steps: int


class Recipe(NamedTuple):
    """How a model is trained, apart from its solver.prototxt. Each solve.py has one as RECIPE.

    The solver's max_iter does not count: `step` never stops there, and the published ones disagree
    with the published scripts.
    """

    start: str | tuple[str, ...]  # the net or nets whose weights are copied first
    rounds: int
    steps: int
    scored: Mapping[str, str] = {"score": "label"}  # score blob -> label blob
    # initialize(net, *those nets) fills `net`. None: copy the layers of the same name.
    initialize: Callable[..., None] | None = None
    sample: Schedule | None = None  # on the embedded task, if the model has such a form
    # prepare(folder) makes what the nets in `folder` read beside the data set, before they are built
    prepare: Callable[[Path], None] | None = None
    # after_round(net, folder) is called after each round but the last, when it is scored
    after_round: Callable[[Any, Path], None] | None = None

    @property
    def starts(self) -> list[str]:
        """The nets to start from."""
        return [self.start] if isinstance(self.start, str) else list(self.start)
