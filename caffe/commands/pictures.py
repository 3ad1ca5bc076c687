"""What classify and detect share: the net, its device and how pictures are prepared."""

import argparse
from typing import Any

import numpy as np

import caffe

from ..files.read import read_blob_proto
from .flags import ArgumentParser, UsageError


def create_parser(command: str, about: str | None) -> ArgumentParser:
    """A parser with the arguments that both commands have."""
    parser = ArgumentParser(f"caffe {command}", description=about)
    parser.add_argument("input_file")
    parser.add_argument("output_file")
    parser.add_argument("--model_def", required=True, help="the net's deploy.prototxt")
    parser.add_argument("--pretrained_model", required=True, help="its weights")
    parser.add_argument("--gpu", action="store_true", help="compute on the GPU")
    parser.add_argument(
        "--mean_file",
        default="",
        help="mean to subtract: .npy (channels, height, width) or .binaryproto (default: none)",
    )
    parser.add_argument("--input_scale", type=float, help="factor after the mean is subtracted")
    parser.add_argument(
        "--raw_scale",
        type=float,
        default=255.0,
        help="factor before the mean is subtracted (default: 255)",
    )
    parser.add_argument(
        "--channel_swap",
        default="2,1,0",
        help="order of the channels (default: 2,1,0, from RGB to BGR); '' leaves them",
    )
    return parser


def numbers(text: str, flag: str) -> list[int] | None:
    """Whole numbers separated by commas; None for empty text."""
    try:
        return [int(part) for part in text.split(",")] if text else None
    except ValueError:
        raise UsageError(f"{flag} takes whole numbers separated by commas, got '{text}'") from None


def read_mean(path: str) -> np.ndarray | None:
    """The mean to subtract, (channels, height, width), from .npy or .binaryproto; None without any."""
    if not path:
        return None
    if path.endswith(".npy"):
        return np.load(path, allow_pickle=False)
    mean = caffe.io.blobproto_to_array(read_blob_proto(path))
    return mean.reshape(mean.shape[-3:])


def set_mode(gpu: bool) -> None:
    """Compute on the GPU or the CPU, and say so."""
    if gpu:
        caffe.set_mode_gpu()
        print("GPU mode")
    else:
        caffe.set_mode_cpu()
        print("CPU mode")


def preprocessing(args: argparse.Namespace) -> dict[str, Any]:
    """The parsed arguments as keywords of Classifier and Detector."""
    return {
        "input_scale": args.input_scale,
        "raw_scale": args.raw_scale,
        "channel_swap": numbers(args.channel_swap, "--channel_swap"),
    }
