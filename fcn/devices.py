"""The device and the precision that a command line asks for: a GPU if there is one, else the CPU."""

import argparse
import sys

import caffe


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
