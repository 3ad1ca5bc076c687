"""The command-line options that say what to compute on: a GPU where there is one, else the CPU."""

import caffe


def add_options(parser):
    """Add --gpu N and --cpu, of which one at most may be given."""
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--gpu", type=int, metavar="N", help="compute on this GPU (default: 0)")
    group.add_argument("--cpu", action="store_true", help="compute on the CPU")


def use(gpu=None, cpu=False):
    """Set Caffe's mode and say which. Without a wish, the CPU serves where there is no GPU.

    Raises what caffe.set_mode_gpu raises if a GPU was asked for by number and cannot be used.
    """
    if not cpu:
        try:
            caffe.set_device(gpu or 0)
            caffe.set_mode_gpu()
            print(f"computing on GPU {gpu or 0}")
            return
        except (RuntimeError, ValueError):
            if gpu is not None:
                raise
    caffe.set_mode_cpu()
    print("computing on the CPU")
