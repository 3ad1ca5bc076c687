"""The options of `fcn new`."""

import argparse
from pathlib import Path

from fcn.options import device


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    add = parser.add_argument
    add("dir", type=Path, metavar="DIR", help="the model folder that is made")
    add(
        "--images", metavar="PATH", help="folder of pictures, 'pattern/*.jpg', or a tree like VOC's"
    )
    masks = "folder of masks (PNG, or LabelMe's JSON), 'pattern/*.png', or COCO's JSON file"
    add("--masks", metavar="PATH", help=masks)
    classes = "list of classes: a name a line, with its value (7) or colour (128,64,128) if need be"
    add("--classes", type=Path, metavar="FILE", help=classes)
    maps = "which value, colour or label is which class: 255=1 0,128,0=tree 7=void; '*=1' is all others"
    add("--map", nargs="+", action="extend", metavar="KEY=CLASS", default=[], help=maps)
    nearest = "give other values the class of the nearest, for masks that went through JPEG"
    add("--nearest", action="store_true", help=nearest)
    add("--skip", action="store_true", help="leave out what is broken or has no partner")
    add("--val", type=float, metavar="SHARE", help="share of the pictures that are scored (0.2)")
    add("--small", action="store_true", help="a small net, which learns from nothing, on a CPU too")
    add("--stages", action="store_true", help="FCN-32s, then 16s, then 8s, instead of 8s at once")
    check = "train on one picture until 99%% of it is right; also of a folder made before"
    add("--check", action="store_true", help=check)
    device.add_options(parser)
