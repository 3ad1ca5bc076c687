"""SIFT Flow's data layer, under the name that prototxts ask for; see fcn/datasets/siftflow.py."""

from fcn.datasets.siftflow import SIFTFlowSegDataLayer

__all__ = ["SIFTFlowSegDataLayer"]
