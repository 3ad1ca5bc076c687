"""SIFT Flow (Liu et al.): LabelMe's outdoor scenes with semantic and geometric labels."""

from data import names

CLASSES = names("siftflow/classes.txt")
GEO_CLASSES = names("siftflow/geo_classes.txt")
ABSENT_FROM_TEST = ("cow", "desert", "moon")  # no truth there, so they are left out of its means
