"""Net surgery, under the name that the original's scripts import."""

from fcn.surgery import Transplant, expand_score, interp, transplant, upsample_filt

__all__ = ["Transplant", "expand_score", "interp", "transplant", "upsample_filt"]
