"""The options for the device and the precision, which several commands share."""

import argparse


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add --gpu N, --cpu, which exclude each other, and --precision NAME."""
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--gpu", type=int, metavar="N", help="compute on this GPU (default: 0)")
    group.add_argument("--cpu", action="store_true", help="compute on the CPU")
    parser.add_argument(
        "--precision",
        choices=("float32", "tf32", "bf16"),
        help="what convolutions multiply in (default: float32; weights are float32 in all)",
    )
