"""The command-line options that say what to compute on: a GPU where there is one, else the CPU."""

import sys

import caffe


def add_options(parser):
    """Add --gpu N and --cpu, of which one at most may be given."""
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--gpu", type=int, metavar="N", help="compute on this GPU (default: 0)")
    group.add_argument("--cpu", action="store_true", help="compute on the CPU")


def use(args):
    """Set Caffe's mode as parsed and say which; exit if a GPU was asked for and there is none."""
    if not args.cpu:
        try:
            caffe.set_device(args.gpu or 0)
            caffe.set_mode_gpu()
            print(f"computing on GPU {args.gpu or 0}", flush=True)
            return
        except (RuntimeError, ValueError) as error:
            if args.gpu is not None:
                sys.exit(str(error))
    caffe.set_mode_cpu()
    print("computing on the CPU", flush=True)
