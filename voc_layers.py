"""The data layers of PASCAL VOC and SBD, under the name that prototxts ask for; see fcn/datasets/voc.py."""

from fcn.datasets.voc import SBDDSegDataLayer, VOCSegDataLayer

__all__ = ["SBDDSegDataLayer", "VOCSegDataLayer"]
