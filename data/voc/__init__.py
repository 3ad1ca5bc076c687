"""PASCAL VOC 2011 segmentation and SBD, which annotates more of its pictures."""

from data import names

CLASSES = names("voc/classes.txt")  # 0 is background; void is 255
