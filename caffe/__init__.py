"""pycaffe's public names, on an engine of PyTorch tensors.

`import caffe` alone imports no PyTorch, so that help pages come at once. The engine is imported with
the first public name that is asked for (they are in public.py), a module with its own name.
"""

import importlib
import sys
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING, Any

__version__ = "1.0.0"  # of the Caffe whose behaviour this is

if TYPE_CHECKING:
    from .public import *  # noqa: F403
    from .public import __all__ as __all__
else:

    def __getattr__(name: str) -> Any:
        """A public name or a module; AttributeError, with today's name for an old one, for others."""
        if name.startswith("__") and name != "__all__":
            raise AttributeError(name)
        if name not in ("layers", "__all__") and find_spec(f"{__name__}.{name}"):
            return importlib.import_module(f"{__name__}.{name}")
        names = importlib.import_module(f"{__name__}.public")
        globals().update({public: getattr(names, public) for public in [*names.__all__, "__all__"]})
        if name in globals():
            return globals()[name]
        old = importlib.import_module(f"{__name__}.arguments")
        raise old.missing("module 'caffe'", name, old.OF_CAFFE, sys.modules[__name__])

    def __dir__() -> list[str]:
        """All names, for completion."""
        return sorted({*globals(), *__getattr__("__all__")})


class _Package(ModuleType):
    """Keeps `caffe.layers` what writes layers in Python: importing the subpackage would replace it."""

    def __setattr__(self, name: str, value: object) -> None:
        if not (name == "layers" and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
