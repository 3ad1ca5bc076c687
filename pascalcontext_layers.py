"""PASCAL-Context's data layer, under the name that prototxts ask for.

See fcn/datasets/pascalcontext.py.
"""

from fcn.datasets.pascalcontext import PASCALContextSegDataLayer

__all__ = ["PASCALContextSegDataLayer"]
