"""Segments pictures: `python infer.py image.jpg` is `fcn infer image.jpg`; see fcn/infer.py."""

import sys

from fcn.cli import script

if __name__ == "__main__":
    sys.exit(script("infer", "infer.py"))
