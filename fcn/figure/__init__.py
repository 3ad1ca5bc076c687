"""`fcn figure photo.jpg`: the paper's figure for anybody's pictures, over several models.

With `--features LAYER` it shows what a layer makes of a picture, with `--filters LAYER` what it looks for.
"""

import argparse

import caffe
from fcn import devices
from fcn.figure.comparison import MODELS, compare, read
from fcn.figure.grid import check_ending, write
from fcn.figure.maps import feature_rows, filter_rows
from fcn.segmenter import Segmenter

NO_PICTURE = "no picture is given; they come first: fcn figure photo.jpg --models voc-fcn8s"
CELL = 1.0  # inches of a map or filter


def run(args: argparse.Namespace) -> int:
    """Write the figure; returns the exit code: 1 if a picture is not in it."""
    caffe.init_log(1)  # warnings, not how the net is built
    check_ending(args.out)
    whole = True
    if args.features:
        features(args)
    elif args.filters:
        filters(args)
    elif not args.images:
        raise ValueError(NO_PICTURE)
    else:
        devices.use(args)
        whole = compare(args)
    print(f"wrote {args.out}")
    return 0 if whole else 1


def features(args: argparse.Namespace) -> None:
    """Write the feature maps of a layer."""
    if not args.images:
        raise ValueError(NO_PICTURE)
    if len(args.images) > 1:
        raise ValueError(f"--features shows the maps of one picture, got {len(args.images)}")
    model = only_model(args, "--features")
    picture = read(args.images[0], model.kind)
    rows, heading = feature_rows(model, picture, args.features, args.most)
    write(args.out, rows, heading=heading, column=CELL)


def filters(args: argparse.Namespace) -> None:
    """Write the filters of a layer."""
    if args.images:
        raise ValueError("--filters shows weights, so it takes no picture")
    rows, heading = filter_rows(only_model(args, "--filters"), args.filters, args.most)
    write(args.out, rows, heading=heading, column=CELL / 2)


def only_model(args: argparse.Namespace, option: str) -> Segmenter:
    """The model that is looked into."""
    names, files = args.models or MODELS[-1:], args.weights or [None]
    if len(names) != 1 or len(files) != 1:
        raise ValueError(f"{option} looks into one model; --models names it, --weights its file")
    devices.use(args)
    more = dict(max_pixels=args.max_pixels, any_weights=args.any_weights)
    return Segmenter(names[0], weights=files[0], sample=args.sample, **more)
