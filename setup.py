"""Builds the packages `caffe` and `fcn`, with the model folders and class lists, and their commands.

A checkout is used by `pip install -e .`: models, data and weights stay in its folders. A wheel carries
copies of the model folders' descriptions, prototxts and scripts in fcn/published.
"""

import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
# What published prototxts and solve scripts import by these names
TOP_MODULES = [
    "surgery",
    "score",
    "vis",
    "voc_layers",
    "nyud_layers",
    "siftflow_layers",
    "pascalcontext_layers",
]
PUBLISHED = (
    "*-*/*.py",
    "*-*/*.prototxt",
    "*-*/sample/*.prototxt",
    "*-*/caffemodel-url",
    "*-*/README.md",
    "data/*/*.txt",
    "data/*/README.md",
)


class BuildWithModels(build_py):
    """Copies the model folders into the package fcn, except for an editable installation."""

    def run(self):
        """Build the packages, then copy."""
        super().run()
        if self.editable_mode:
            return
        for pattern in PUBLISHED:
            for path in ROOT.glob(pattern):
                target = Path(self.build_lib, "fcn", "published", path.relative_to(ROOT))
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, target)


setup(
    name="fcn-caffe",
    version="1.0.0",
    description="Fully Convolutional Networks for semantic segmentation, Caffe-faithful on PyTorch",
    license="BSD-2-Clause",
    python_requires=">=3.10",
    packages=find_packages(include=["caffe", "caffe.*", "fcn", "fcn.*"]),
    package_data={"caffe.proto": ["caffe.proto"], "caffe.kernels": ["*.c", "*.h"]},
    py_modules=TOP_MODULES,
    cmdclass={"build_py": BuildWithModels},
    entry_points={
        "console_scripts": ["caffe = caffe.__main__:main", "fcn = fcn.command:main"],
    },
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
        "completion": ["argcomplete>=3"],
        "dev": ["pytest", "hypothesis", "ruff", "mypy", "scikit-learn>=1.4", "lmdb>=1.4"],
    },
)
