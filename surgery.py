"""Net surgery, under the name that scripts import; see fcn/surgery.py."""

from fcn.surgery import Transplant, expand_score, interp, transplant, upsample_filt

__all__ = ["Transplant", "expand_score", "interp", "transplant", "upsample_filt"]
