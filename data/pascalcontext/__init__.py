"""PASCAL-Context (Mottaghi et al.): every pixel of VOC2010's pictures labelled."""

from data import names

CLASSES = names("pascalcontext/classes.txt")  # 0 is background
# The task's spelling -> the spelling in the list of all 459 labels.
MAIN_NAMES = {"diningtable": "table", "bedcloth": "bedclothes", "clothes": "cloth"}
