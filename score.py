"""`python score.py --model voc-fcn8s`; and what the original's scripts import from here."""

import sys

from fcn.measures import compute_hist, fast_hist
from fcn.scoring import do_seg_tests, main, seg_tests

__all__ = ["compute_hist", "do_seg_tests", "fast_hist", "main", "seg_tests"]

if __name__ == "__main__":
    sys.exit(main())
