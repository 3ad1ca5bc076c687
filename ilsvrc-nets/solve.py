"""Train the embedded task's classifier from random weights: `python ilsvrc-nets/solve.py --sample`.

The nets for ImageNet are not trained here: FCN starts from their published weights (convert.py).
"""

import argparse
import os
from pathlib import Path

import caffe
from fcn import devices, models
from fcn.datasets.sample.train_classifier import train
from fcn.options import device

FOLDER = Path(__file__).resolve().parent


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sample", action="store_true", help="the only net there is to train")
    parser.add_argument("--steps", type=int, default=500, help="(%(default)s)")
    parser.add_argument("--seed", type=int, help="seed of the weights")
    device.add_options(parser)
    args = parser.parse_args()
    if not args.sample:
        parser.error("only --sample is trained here; see README.md for the published weights")
    devices.use(args)
    if args.seed is not None:
        caffe.set_random_seed(args.seed)
    os.chdir(models.writable(FOLDER) / "sample")  # paths in solver.prototxt are relative to it
    solver, accuracy = train("solver.prototxt", args.steps)
    solver.net.save("vgg16.caffemodel")
    print(f"accuracy on crops that were held back: {accuracy:.3f}")
    print(f"wrote {Path('vgg16.caffemodel').absolute()}")


if __name__ == "__main__":
    main()
