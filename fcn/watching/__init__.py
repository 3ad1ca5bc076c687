"""Checks while training runs: values that are no numbers, and the signatures of nets that do not learn."""

from fcn.watching.finite import Poisoned, require_finite
from fcn.watching.watch import Watch

__all__ = ["Poisoned", "Watch", "require_finite"]
