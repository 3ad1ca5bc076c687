"""What the FCN models share: nets, training, scoring, inference, data sets, and the `fcn` command.

    from fcn import Segmenter
    result = Segmenter("voc-fcn8s")("photo.jpg")

The package uses only the public names of `import caffe`, so it also runs on BVLC's pycaffe.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fcn.segmenter import Segmenter

__all__ = ["Segmenter"]
_PLACES = {"Segmenter": "fcn.segmenter"}  # imported when they are asked for: they bring the engine


def __getattr__(name: str) -> Any:
    """A name of _PLACES, from its module."""
    if name in _PLACES:
        return getattr(importlib.import_module(_PLACES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_PLACES])
