"""The embedded task: real handwritten digits on real photographs, in VOC's and SBD's own formats.

Small enough to train from nothing on two CPU cores in minutes; both sources come with scikit-learn.
"""

from data import FOLDER, names

CLASSES = names("sample/classes.txt")  # 0 is background
MEAN = (76.0, 81.0, 75.0)  # BGR, of the training scenes, rounded
SCENES = FOLDER / "sample" / "scenes"  # where `python -m data.sample` writes
