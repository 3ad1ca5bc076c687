"""Command-line options for the device and the precision: a GPU if there is one, else the CPU."""

import argparse
import sys

import caffe


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


def use(args: argparse.Namespace) -> None:
    """Set and print Caffe's mode and precision; exit if the machine lacks the one asked for."""
    _use_device(args)
    if args.precision:  # set_precision is not a name of BVLC's, so it is called only if asked for
        try:
            caffe.set_precision(args.precision)
        except RuntimeError as error:
            sys.exit(f"{error} (here: --precision)")
        print(f"multiplying in {args.precision}", flush=True)


def in_use() -> str:
    """Where nets compute now: `cpu` or `gpu`. BVLC's pycaffe does not tell."""
    context = getattr(caffe, "context", None)
    return "gpu" if context is not None and context.on_gpu() else "cpu"


def _use_device(args: argparse.Namespace) -> None:
    if not args.cpu:
        try:
            caffe.set_device(args.gpu or 0)
            caffe.set_mode_gpu()
            print(f"computing on GPU {args.gpu or 0}", flush=True)
            return
        except (RuntimeError, ValueError) as error:
            if args.gpu is not None:
                sys.exit(f"{error} (here: --cpu)")
    caffe.set_mode_cpu()
    print("computing on the CPU", flush=True)
