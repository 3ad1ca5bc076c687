"""`caffe inspect`: what a file is, and what two files of weights differ in."""

from __future__ import annotations

from collections.abc import Sequence

from .flags import ArgumentParser, UsageError
from .shapes import add_shapes, shapes


def inspect(argv: Sequence[str]) -> int:
    """Say what a file is: its kind and age, layers, shapes, numbers, what is missing, what to do next.

    Of two files of weights, what differs, layer by layer; of a net and weights, whether they fit.
    """
    parser = ArgumentParser("caffe inspect", description=inspect.__doc__)
    parser.add_argument("files", nargs="+", metavar="FILE", help="one file or folder, or two files")
    add_shapes(parser)
    args = parser.parse_args(argv)
    if len(args.files) > 2:
        raise UsageError(f"takes one file, or two to compare, got {len(args.files)}")
    # not at the top: its help needs neither
    from .. import inspecting
    from ..glog import init_log
    from ..inspecting import differences

    init_log(2)  # errors alone: what is found is in the report
    first = args.files[0]
    if len(args.files) == 2:
        print(differences.compare(*args.files).text(first))
    else:
        print(inspecting.inspect(first, shapes(args.shape)).text(first))
    return 0
