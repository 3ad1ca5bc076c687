"""The options of `fcn score`."""

import argparse
from pathlib import Path

from fcn.options import any_file, crf, device, jobs


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("--model", default="voc-fcn8s", help="model folder (%(default)s)")
    parser.add_argument("--weights", type=Path, help="caffemodel (default: the model's, by name)")
    parser.add_argument("--save", type=Path, metavar="DIR", help="save predictions as palette PNGs")
    parser.add_argument(
        "--server", action="store_true", help="save them in DIR as VOC's server wants them"
    )
    parser.add_argument("--record", type=Path, metavar="FILE", help="add the scores as JSON lines")
    parser.add_argument("--sample", action="store_true", help="the net of the embedded task")
    parser.add_argument("--leakage", action="store_true", help="score training pictures, too")
    crf.add_options(parser)
    device.add_options(parser)
    any_file.add_option(parser)
    jobs.add_options(parser)
