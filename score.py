"""Scores segmentations, under the name that scripts import; see fcn/scoring.py.

`python score.py --model voc-fcn8s` is `fcn score --model voc-fcn8s`.
"""

import sys

from fcn.cli import script
from fcn.measures import fast_hist
from fcn.scoring import compute_hist, do_seg_tests, seg_tests

__all__ = ["compute_hist", "do_seg_tests", "fast_hist", "seg_tests"]

if __name__ == "__main__":
    sys.exit(script("score", "score.py"))
