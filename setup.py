"""Builds the wheel: the packages `caffe` and `fcn`, and the modules that published files import.

The model folders and the lists of classes are copied into the wheel as fcn/published/; see
fcn/places.py. For work in a checkout, `pip install -e .` is the way.
"""

import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
# What published scripts import and published prototxts name.
PUBLISHED_MODULES = [
    "nyud_layers",
    "pascalcontext_layers",
    "score",
    "siftflow_layers",
    "surgery",
    "vis",
    "voc_layers",
]
PUBLISHED_FILES = [  # of the model folders, whose names have a hyphen, of systems/ and of data/
    "*-*/*.py",
    "*-*/*.prototxt",
    "*-*/sample/*.prototxt",
    "*-*/sample/*.caffemodel.h5",
    "*-*/caffemodel-url",
    "*-*/README.md",
    "systems/*/*.py",
    "systems/*/*.prototxt",
    "systems/*/sample/*.prototxt",
    "systems/*/README.md",
    "systems/*/results.json",
    "systems/*/caffemodel-url",
    "data/*/classes.txt",
    "data/*/geo_classes.txt",
    "data/*/README.md",
]


class BuildWithModels(build_py):
    """Adds the model folders to the built package, but not to an editable install."""

    def run(self) -> None:
        """Build from an empty folder, in which no earlier build left modules, then copy."""
        if self.editable_mode:
            return super().run()
        shutil.rmtree(self.build_lib, ignore_errors=True)
        super().run()
        for pattern in PUBLISHED_FILES:
            for path in ROOT.glob(pattern):
                copy = Path(self.build_lib, "fcn", "published", path.relative_to(ROOT))
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, copy)


setup(
    name="fcn-caffe",
    version="1.0.0",
    description="Fully Convolutional Networks for semantic segmentation, Caffe-faithful on PyTorch",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    author="The authors of this project",  # as in LICENSE
    license="BSD-2-Clause",
    keywords=["caffe", "pycaffe", "FCN", "semantic segmentation", "PyTorch"],
    classifiers=[
        "Development Status :: 5 - Production/Stable",
        "Intended Audience :: Science/Research",
        "Intended Audience :: Developers",
        "Operating System :: OS Independent",
        "Programming Language :: Python :: 3 :: Only",
        *(f"Programming Language :: Python :: 3.{minor}" for minor in (10, 11, 12, 13)),
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Topic :: Scientific/Engineering :: Image Recognition",
        "Typing :: Typed",
    ],
    python_requires=">=3.10",
    packages=find_packages(include=["caffe", "caffe.*", "fcn", "fcn.*"]),
    package_data={
        "caffe": ["py.typed"],
        "caffe.proto": ["caffe.proto", "*.pyi"],
        "caffe.kernels": ["*.c", "*.h"],
        "fcn": ["py.typed"],
        "fcn.report": ["templates/*"],
        "fcn.serving": ["templates/*"],
    },
    py_modules=PUBLISHED_MODULES,
    cmdclass={"build_py": BuildWithModels},
    entry_points={"console_scripts": ["caffe = caffe.__main__:main", "fcn = fcn.cli:main"]},
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
        "jinja2>=3.1",
    ],
    extras_require={
        "sample": ["scikit-learn>=1.4"],
        "lmdb": ["lmdb>=1.4"],
        "completion": ["argcomplete>=3"],
        "tensorboard": ["tensorboard>=2.16"],
        "heic": ["pi-heif>=0.16"],
        "superpixels": ["scikit-image>=0.22"],
        "video": ["opencv-python-headless>=4.8"],
        "onnx": ["onnx>=1.16", "onnxruntime>=1.18"],
        "safetensors": ["safetensors>=0.4"],
        "dev": [
            "pytest",
            "pytest-cov",
            "hypothesis",
            "ruff",
            "mypy",
            "types-protobuf",
            "scikit-learn>=1.4",
            "lmdb>=1.4",
        ],
    },
)
