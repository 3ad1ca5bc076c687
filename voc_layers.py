"""The data layers of PASCAL VOC and SBD, under the name that published prototxts ask for."""

from fcn.datasets.voc import SBDDSegDataLayer, VOCSegDataLayer

__all__ = ["SBDDSegDataLayer", "VOCSegDataLayer"]
