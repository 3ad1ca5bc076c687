"""The data layer of PASCAL-Context, under the name that published prototxts ask for."""

from fcn.datasets.pascalcontext import PASCALContextSegDataLayer

__all__ = ["PASCALContextSegDataLayer"]
