"""Make the weights FCN starts from: a classification net's, in fully convolutional form.

`python ilsvrc-nets/convert.py [--model alexnet] [FILE]` reads VGG_ILSVRC_16_layers.caffemodel (or
bvlc_reference_caffenet.caffemodel) and writes vgg16-fcn.caffemodel (or alexnet-fcn). The inner
products fc6 and fc7 become convolutions: the same numbers in another shape. fc8 has no counterpart.
"""

import argparse
import sys
from pathlib import Path

import caffe
from fcn import models, surgery, weights
from fcn.options import any_file


def main() -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights", nargs="?", type=Path, metavar="FILE", help="(found by name)")
    parser.add_argument("--model", choices=["vgg16", "alexnet"], default="vgg16")
    parser.add_argument("--sample", action="store_true", help="the embedded task's classifier")
    any_file.add_option(parser)
    args = parser.parse_args()
    if args.sample and args.model != "vgg16":
        parser.error("the embedded task has a vgg16 only")
    source = f"{models.CLASSIFIERS}/{args.model}"
    try:
        file = weights.given_or_found(args.weights, source, args.sample, args.any_weights)
        converted = convert(source, file, args.sample)
    except (FileNotFoundError, ValueError) as error:
        print(f"convert.py: {error}", file=sys.stderr)
        return 2
    print(f"wrote {converted}")
    return 0


def convert(source: str, file: Path, sample: bool = False) -> Path:
    """Write the fully convolutional form of a classifier's weights; returns the file's path."""
    target = models.prototxt_of(f"{source}-fcn", sample)
    old = caffe.Net(str(models.prototxt_of(source, sample)), str(file), caffe.TEST)
    new = caffe.Net(str(target), caffe.TEST)
    surgery.transplant(new, old)
    folder = models.own_folder(source, sample)
    folder.mkdir(parents=True, exist_ok=True)
    converted = folder / f"{target.stem}.caffemodel"
    new.save(str(converted))
    return converted


if __name__ == "__main__":
    caffe.init_log(1)  # the report, not how the nets are built
    sys.exit(main())
