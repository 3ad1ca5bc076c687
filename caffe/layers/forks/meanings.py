"""Types to which forks of Caffe gave several meanings: what a layer states decides which it is."""

from __future__ import annotations

from typing import Any

from ...layer import MEANINGS, Layer


class SeveralMeanings(Layer):
    """A type's entry in the table of layers; no layer is made of it, but one of its MEANINGS.

    Making one raises ValueError: what is stated fits several meanings, or none.
    """

    def __init__(self, layer_param: Any):
        super().__init__(layer_param)
        known = MEANINGS[self.type]
        fitting = [cls for cls in known if cls.means(layer_param)]
        if fitting:
            why = f"{len(fitting)} forks mean different things by it, and what is stated fits each"
        else:
            why = "no fork has a layer with all that is stated"
        raise self.error(f"{why}: {'; '.join(map(meaning_in_words, fitting or known))}")


def meaning_in_words(cls: Any) -> str:
    """A fork, and what tells its meaning from the others'."""
    return f"{cls.fork}'s, to be told by {cls.told_by}"


def given(message: Any) -> set[str]:
    """The fields that a message states."""
    return {field.name for field, _ in message.ListFields()}
