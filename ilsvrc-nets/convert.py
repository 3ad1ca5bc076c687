"""Make the weights FCN starts from: a classification net's, in fully convolutional form.

`python ilsvrc-nets/convert.py [--model alexnet] [FILE]` reads VGG_ILSVRC_16_layers.caffemodel (or
bvlc_reference_caffenet.caffemodel) and writes vgg16-fcn.caffemodel (or alexnet-fcn). The inner
products fc6 and fc7 become convolutions: the same numbers in another shape. fc8 has no counterpart.
"""

import argparse
import sys
from pathlib import Path

import caffe
from fcn.surgery import transplant
from fcn.weights import MISSING, given_or_found, prototxt_of


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights", nargs="?", type=Path, metavar="FILE", help="(found by name)")
    parser.add_argument("--model", choices=["vgg16", "alexnet"], default="vgg16")
    parser.add_argument("--sample", action="store_true", help="the embedded task's classifier")
    args = parser.parse_args()
    if args.sample and args.model != "vgg16":
        parser.error("the embedded task has a vgg16 only")
    source = f"ilsvrc-nets/{args.model}"
    try:
        weights = given_or_found(args.weights, source, args.sample)
        made = convert(source, weights, args.sample)
    except (FileNotFoundError, ValueError) as error:
        print(f"convert.py: {error}", file=sys.stderr)
        return MISSING
    print(f"wrote {made}")


def convert(source, weights, sample=False):
    """Write the fully convolutional form of a classifier's weights beside its prototxt."""
    target = prototxt_of(f"{source}-fcn", sample)
    old = caffe.Net(str(prototxt_of(source, sample)), str(weights), caffe.TEST)
    new = caffe.Net(str(target), caffe.TEST)
    transplant(new, old)
    made = target.with_suffix(".caffemodel")
    new.save(str(made))
    return made


if __name__ == "__main__":
    caffe.init_log(1)  # the report, not how the nets are built
    sys.exit(main())
