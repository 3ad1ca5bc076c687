"""The options for the dense CRF, which several commands share."""

import argparse


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add --crf and --crf-set."""
    text = "refine the scores by a dense CRF, so that they follow the picture's outlines"
    parser.add_argument("--crf", action="store_true", help=text)
    parser.add_argument(
        "--crf-set",
        nargs="+",
        metavar="NAME=VALUE",
        default=[],
        help="the same, with these of its parameters: pos_w, pos_xy_std, bi_w, bi_xy_std, bi_rgb_std, "
        "max_iter (default: DeepLab's for VOC; with --sample the embedded task's)",
    )
