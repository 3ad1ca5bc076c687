"""The embedded task: real handwritten digits on real photographs, in VOC's and SBD's own formats.

Small enough to train from nothing on two CPU cores in minutes; both sources come with scikit-learn.
"""

from pathlib import Path

CLASSES = (
    "background",
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
)
MEAN = (60.0, 66.0, 62.0)  # BGR, of the training scenes, rounded
SCENES = Path(__file__).resolve().parent / "scenes"  # where `python -m data.sample` writes
