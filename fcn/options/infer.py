"""The options of `fcn infer`."""

import argparse
from pathlib import Path

from fcn.options import any_file, crf, device, jobs

IMAGE = (
    "a picture, or a video where OpenCV is installed; a folder: the pictures in it and in its "
    "folders; a pattern, in quotes or not; or @list.txt, a text file with a path a line. Results "
    "of earlier runs are left out"
)
WRITTEN = """\
what is written, into the folder of --out:
  NAME_classes.png         a class a pixel, in VOC's palette: the pixels' values are the classes
  NAME_overlay.png         the classes' colours over the picture (not with --no-overlay)
  NAME.json                with --json: shares, and masks in COCO's uncompressed run lengths
  NAME_probabilities.npy   with --probabilities: the softmax, C x H x W float16
  NAME_overlay.mp4         of a video

NAME is the picture's; a number is added where another picture's results have it. Exit code 0 if all
pictures were segmented, else 1, with a line for each that was not.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = WRITTEN
    add = parser.add_argument
    add("images", nargs="+", metavar="IMAGE", help=IMAGE)
    text = "model folder, the project's or your own, or a prototxt (%(default)s)"
    add("--model", default="voc-fcn8s", help=text)
    add("--weights", type=Path, help="caffemodel (default: the model's, by name)")
    text = "the classes' names, one a line (default: classes.txt beside the prototxt, or the data set's)"
    add("--names", type=Path, metavar="FILE", help=text)
    text = "of the pictures in training, or a file of it (default: as the net's folder says)"
    add("--mean", metavar="B,G,R", help=text)
    for kind in ("depth", "hha"):
        text = f"the {kind} of each picture, for a model that reads it beside the colours"
        add(f"--{kind}", nargs="+", metavar="FILE", help=text)
    text = "folder for the results (%(default)s)"
    add("--out", type=Path, default=Path("results"), metavar="DIR", help=text)
    text = "show only these: in overlay, legend, JSON and shares; NAME_classes.png has all"
    add("--classes", type=names, metavar="A,B", help=text)
    text = "write the classes' colours over the picture (default)"
    add("--overlay", action=argparse.BooleanOptionalAction, default=True, help=text)
    text = "colour, name and share of each class: printed, and beside the overlay"
    add("--legend", action="store_true", help=text)
    add("--json", action="store_true", help="write shares and masks for other programs")
    add("--probabilities", action="store_true", help="write each class's probability")
    add("--sample", action="store_true", help="the net of the embedded task")
    text = "segment larger pictures at a smaller scale (%(default)s)"
    add("--max-pixels", type=positive, default=1_000_000, metavar="N", help=text)
    text = (
        "pictures of one size that go through the net at once (default: as many as make it faster)"
    )
    add("--batch", type=positive, metavar="N", help=text)
    text = (
        "of a video and FCN-8s, which stages run for a frame: full, alternating, pipeline, every-other, "
        "adaptive or adaptive:SHARE (%(default)s)"
    )
    add("--clock", default="full", metavar="SCHEDULE", help=text)
    crf.add_options(parser)
    device.add_options(parser)
    any_file.add_option(parser)
    jobs.add_options(parser)


def positive(text: str) -> int:
    """A whole number above 0."""
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"{text} is below 1")
    return number


def names(text: str) -> list[str]:
    """Names between commas."""
    return [name for part in text.split(",") if (name := part.strip())]
