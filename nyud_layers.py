"""NYUDv2's data layer, under the name that prototxts ask for; see fcn/datasets/nyud.py."""

from fcn.datasets.nyud import NYUDSegDataLayer

__all__ = ["NYUDSegDataLayer"]
