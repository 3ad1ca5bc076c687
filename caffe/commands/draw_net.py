"""`caffe draw_net`: a picture of a net's graph (python/draw_net.py)."""

from collections.abc import Sequence

from .. import draw
from ..files import read
from ..proto import caffe_pb2
from .flags import ArgumentParser


def draw_net(argv: Sequence[str]) -> int:
    """Draw the graph of a net's prototxt; .svg and .dot files need no Graphviz."""
    parser = ArgumentParser("caffe draw_net", description=draw_net.__doc__)
    parser.add_argument("input_net_proto_file", help="the net's prototxt")
    parser.add_argument("output_image_file", help="file to write; its ending is the format")
    parser.add_argument(
        "--rankdir",
        default="LR",
        choices=("LR", "TB", "BT", "RL"),
        help="direction of the flow (default: LR, left to right)",
    )
    parser.add_argument(
        "--phase",
        default="ALL",
        choices=("TRAIN", "TEST", "ALL"),
        help="draw the layers of this phase only",
    )
    parser.add_argument("--display_lrm", action="store_true", help="show learning rate multipliers")
    args = parser.parse_args(argv)
    net = read.read_net(args.input_net_proto_file, lenient=True)
    phase = None if args.phase == "ALL" else caffe_pb2.Phase.Value(args.phase)
    print(f"Drawing net to {args.output_image_file}")
    written = draw.draw_net_to_file(
        net, args.output_image_file, args.rankdir, phase, args.display_lrm
    )
    if written != args.output_image_file:
        print(f"Wrote {written} instead")
    return 0
