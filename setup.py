"""Installs the engine and the flat modules, so that the scripts run from anywhere.

`pip install -e .` (editable) is the way: models, data and weights stay in this folder.
"""

from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).resolve().parent

setup(
    name="fcn-caffe",
    version="1.0.0",
    description="Fully Convolutional Networks for semantic segmentation, Caffe-faithful on PyTorch",
    license="BSD-2-Clause",
    python_requires=">=3.10",
    packages=find_packages(include=["caffe", "caffe.*", "data", "data.*"]),
    package_data={
        "caffe.proto": ["caffe.proto"],
        "caffe.kernels": ["*.c", "*.h"],
        "data": ["*/*.txt", "*/README.md"],
    },
    py_modules=sorted(path.stem for path in ROOT.glob("*.py") if path.stem != "setup"),
    entry_points={"console_scripts": ["caffe = caffe.__main__:main"]},
    install_requires=[
        "torch>=2.4",
        "numpy>=1.26",
        "scipy>=1.11",
        "pillow>=10",
        "protobuf>=5",
        "xxhash>=3",
        "tqdm>=4.60",
        "matplotlib>=3.8",
        "h5py>=3.10",
    ],
    extras_require={
        "sample": ["scikit-learn>=1.4"],
        "lmdb": ["lmdb>=1.4"],
        "dev": ["pytest", "hypothesis", "ruff", "scikit-learn>=1.4", "lmdb>=1.4"],
    },
)
