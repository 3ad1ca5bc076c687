"""classify and detect: a net's predictions for pictures and for windows of them
(python/classify.py, python/detect.py)."""

import csv
import glob
import os
import time
from collections import OrderedDict

import numpy as np

from .. import context, io
from ..classifier import Classifier
from ..detector import Detector
from ..proto import caffe_pb2
from .flags import UsageError
from .logs import Parser

COORDINATES = ("ymin", "xmin", "ymax", "xmax")


def _parser(command, about):
    parser = Parser(f"caffe {command}", description=about)
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


def _numbers(text, flag):
    try:
        return [int(part) for part in text.split(",")] if text else None
    except ValueError:
        raise UsageError(f"{flag} takes whole numbers separated by commas, got '{text}'") from None


def _mean(path):
    if not path:
        return None
    if path.endswith(".npy"):
        return np.load(path, allow_pickle=False)
    proto = caffe_pb2.BlobProto()
    with open(path, "rb") as file:
        proto.ParseFromString(file.read())
    mean = io.blobproto_to_array(proto)
    return mean.reshape(mean.shape[-3:])


def _set_mode(gpu):
    if gpu:
        context.set_mode_gpu()
        print("GPU mode")
    else:
        context.set_mode_cpu()
        print("CPU mode")


def _preprocessing(args):
    return {
        "input_scale": args.input_scale,
        "raw_scale": args.raw_scale,
        "channel_swap": _numbers(args.channel_swap, "--channel_swap"),
    }


# ---- classify


def classify(argv):
    """Predict the classes of a picture, of the pictures of a folder, or of an .npy of pictures.

    The output is an .npy of (pictures, classes).
    """
    parser = _parser("classify", classify.__doc__)
    parser.add_argument("--center_only", action="store_true", help="the centre crop, not ten crops")
    parser.add_argument(
        "--images_dim", default="256,256", help="height,width to resize to (default: 256,256)"
    )
    parser.add_argument("--ext", default="jpg", help="ending of a folder's pictures (default: jpg)")
    args = parser.parse_args(argv)
    mean = _mean(args.mean_file)
    _set_mode(args.gpu)
    classifier = Classifier(
        args.model_def,
        args.pretrained_model,
        image_dims=_numbers(args.images_dim, "--images_dim"),
        mean=mean,
        **_preprocessing(args),
    )
    inputs = _inputs(args.input_file, args.ext)
    print(f"Classifying {len(inputs)} inputs.")
    start = time.time()
    predictions = classifier.predict(inputs, not args.center_only)
    print(f"Done in {time.time() - start:.2f} s.")
    print(f"Saving results into {args.output_file}")
    np.save(args.output_file, predictions)
    return 0


def _inputs(path, ending):
    path = os.path.expanduser(path)
    if path.endswith(".npy"):
        print(f"Loading file: {path}")
        return list(np.load(path, allow_pickle=False))
    if os.path.isdir(path):
        print(f"Loading folder: {path}")
        files = sorted(glob.glob(os.path.join(glob.escape(path), f"*.{ending}")))
        if not files:
            raise ValueError(f"{path}: no pictures *.{ending} in this folder (see --ext)")
        return [io.load_image(file) for file in files]
    print(f"Loading file: {path}")
    return [io.load_image(path)]


# ---- detect


def detect(argv):
    """Predict the classes of windows of pictures.

    The input is a .csv with the columns filename, ymin, xmin, ymax, xmax (crop_mode list), or a .txt
    of file names (crop_mode selective_search). The output is a .csv of the windows and a column a
    class, or an HDF5 file of the datasets filename, window and prediction.
    """
    parser = _parser("detect", detect.__doc__)
    parser.add_argument(
        "--crop_mode",
        default="selective_search",
        choices=("list", "selective_search"),
        help="where windows come from (default: selective_search)",
    )
    parser.add_argument(
        "--context_pad",
        type=int,
        default=16,
        help="pixels of surroundings in the net's input (default: 16)",
    )
    args = parser.parse_args(argv)
    mean = _mean(args.mean_file)
    _set_mode(args.gpu)
    if mean is not None and mean.ndim == 3:
        mean = mean.mean(1).mean(1)  # one value a channel: it fills the surroundings as well
    detector = Detector(
        args.model_def,
        args.pretrained_model,
        mean=mean,
        context_pad=args.context_pad,
        **_preprocessing(args),
    )
    start = time.time()
    print("Loading input...")
    if args.crop_mode == "list":
        detections = detector.detect_windows(read_windows(args.input_file).items())
    else:
        detections = detector.detect_selective_search(_read_names(args.input_file))
    print(f"Processed {len(detections)} windows in {time.time() - start:.3f} s.")
    start = time.time()
    save = _save_csv if args.output_file.lower().endswith("csv") else _save_hdf5
    save(args.output_file, detections)
    print(f"Saved to {args.output_file} in {time.time() - start:.3f} s.")
    return 0


def read_windows(path):
    """Picture's file name -> its windows, from a .csv. ValueError for missing columns or numbers."""
    with open(path, newline="") as file:
        rows = csv.DictReader(file, skipinitialspace=True)
        missing = [
            name for name in ("filename", *COORDINATES) if name not in (rows.fieldnames or ())
        ]
        if missing:
            raise ValueError(
                f"{path}: no column {missing[0]}; it has {', '.join(rows.fieldnames or ())}"
            )
        windows = OrderedDict()
        for row in rows:
            try:
                window = np.array([int(float(row[name])) for name in COORDINATES])
            except (TypeError, ValueError):
                raise ValueError(
                    f"{path}, line {rows.line_num}: a window is four numbers, got {row}"
                ) from None
            windows.setdefault(row["filename"], []).append(window)
    return windows


def _read_names(path):
    if path.lower().endswith("csv"):
        return list(read_windows(path))
    with open(path) as file:
        return [line.strip() for line in file if line.strip()]


def _save_csv(path, detections):
    classes = len(np.ravel(detections[0]["prediction"])) if detections else 0
    with open(path, "w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["filename", *COORDINATES, *(f"class{i}" for i in range(classes))])
        for found in detections:
            scores = np.ravel(found["prediction"]).tolist()
            table.writerow([found["filename"], *map(int, found["window"]), *scores])


def _save_hdf5(path, detections):
    import h5py

    with h5py.File(path, "w") as file:
        file["filename"] = [found["filename"] for found in detections]
        file["window"] = np.array([found["window"] for found in detections])
        file["prediction"] = np.array([np.ravel(found["prediction"]) for found in detections])
