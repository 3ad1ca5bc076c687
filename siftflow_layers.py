"""The data layer of SIFT Flow, under the name that published prototxts ask for."""

from fcn.datasets.siftflow import SIFTFlowSegDataLayer

__all__ = ["SIFTFlowSegDataLayer"]
