"""Where tests find the project and what BVLC Caffe 1.0 computed."""

import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "golden"  # a missing file fails its test
