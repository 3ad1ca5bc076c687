"""The data layer of NYUDv2, under the name that published prototxts ask for."""

from fcn.datasets.nyud import NYUDSegDataLayer

__all__ = ["NYUDSegDataLayer"]
