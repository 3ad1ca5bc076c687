"""`caffe classify`: a net's predictions for pictures (python/classify.py)."""

import glob
import os
import time
from collections.abc import Sequence

import numpy as np

import caffe

from .pictures import create_parser, numbers, preprocessing, read_mean, set_mode


def classify(argv: Sequence[str]) -> int:
    """Predict the classes of a picture, of the pictures of a folder, or of an .npy of pictures.

    The output is an .npy of (pictures, classes).
    """
    parser = create_parser("classify", classify.__doc__)
    parser.add_argument("--center_only", action="store_true", help="the centre crop, not ten crops")
    parser.add_argument(
        "--images_dim", default="256,256", help="height,width to resize to (default: 256,256)"
    )
    parser.add_argument("--ext", default="jpg", help="ending of a folder's pictures (default: jpg)")
    args = parser.parse_args(argv)
    mean = read_mean(args.mean_file)
    set_mode(args.gpu)
    classifier = caffe.Classifier(
        args.model_def,
        args.pretrained_model,
        image_dims=numbers(args.images_dim, "--images_dim"),
        mean=mean,
        **preprocessing(args),
    )
    inputs = _inputs(args.input_file, args.ext)
    print(f"Classifying {len(inputs)} inputs.")
    start = time.time()
    predictions = classifier.predict(inputs, not args.center_only)
    print(f"Done in {time.time() - start:.2f} s.")
    print(f"Saving results into {args.output_file}")
    np.save(args.output_file, predictions)
    return 0


def _inputs(path: str, ending: str) -> list[np.ndarray]:
    """Pictures (height, width, channels): those of an .npy, of a folder, or one."""
    path = os.path.expanduser(path)
    if path.endswith(".npy"):
        print(f"Loading file: {path}")
        return list(np.load(path, allow_pickle=False))
    if os.path.isdir(path):
        print(f"Loading folder: {path}")
        files = sorted(glob.glob(os.path.join(glob.escape(path), f"*.{ending}")))
        if not files:
            raise ValueError(f"{path}: no pictures *.{ending} in this folder (see --ext)")
        return [caffe.io.load_image(file) for file in files]
    print(f"Loading file: {path}")
    return [caffe.io.load_image(path)]
