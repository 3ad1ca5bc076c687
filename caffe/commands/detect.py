"""`caffe detect`: a net's predictions for windows of pictures (python/detect.py)."""

import csv
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

import caffe

from ..files.hdf5 import h5py_library
from .pictures import create_parser, preprocessing, read_mean, set_mode

COORDINATES = ("ymin", "xmin", "ymax", "xmax")


def detect(argv: Sequence[str]) -> int:
    """Predict the classes of windows of pictures.

    The input is a .csv with the columns filename, ymin, xmin, ymax, xmax (crop_mode list), or a .txt
    of file names (crop_mode selective_search). The output is a .csv of the windows and a column a
    class, or an HDF5 file of the datasets filename, window and prediction.
    """
    parser = create_parser("detect", detect.__doc__)
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
    mean = read_mean(args.mean_file)
    set_mode(args.gpu)
    if mean is not None and mean.ndim == 3:
        mean = mean.mean(1).mean(1)  # one value a channel: it fills the surroundings as well
    detector = caffe.Detector(
        args.model_def,
        args.pretrained_model,
        mean=mean,
        context_pad=args.context_pad,
        **preprocessing(args),
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


def read_windows(path: str) -> dict[str, list[np.ndarray]]:
    """Picture's file name -> its windows (ymin, xmin, ymax, xmax), from a .csv.

    ValueError for missing columns or numbers.
    """
    with open(path, newline="", encoding="utf-8", errors="surrogateescape") as file:
        rows = csv.DictReader(file, skipinitialspace=True)
        missing = [
            name for name in ("filename", *COORDINATES) if name not in (rows.fieldnames or ())
        ]
        if missing:
            raise ValueError(
                f"{path}: no column {missing[0]}; it has {', '.join(rows.fieldnames or ())}"
            )
        windows: dict[str, list[np.ndarray]] = {}
        for row in rows:
            try:
                window = np.array([int(float(row[name])) for name in COORDINATES])
            except (TypeError, ValueError):
                raise ValueError(
                    f"{path}, line {rows.line_num}: a window is four numbers, got {row}"
                ) from None
            windows.setdefault(row["filename"], []).append(window)
    return windows


def _read_names(path: str) -> list[str]:
    """Pictures' file names, from a .csv of windows or from a list, one a line."""
    if path.lower().endswith("csv"):
        return list(read_windows(path))
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        return [line.strip() for line in file if line.strip()]


def _save_csv(path: str, detections: list[dict[str, Any]]) -> None:
    classes = len(np.ravel(detections[0]["prediction"])) if detections else 0
    with open(path, "w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["filename", *COORDINATES, *(f"class{i}" for i in range(classes))])
        for found in detections:
            scores = np.ravel(found["prediction"]).tolist()
            table.writerow([found["filename"], *map(int, found["window"]), *scores])


def _save_hdf5(path: str, detections: list[dict[str, Any]]) -> None:
    with h5py_library().File(path, "w") as file:
        file["filename"] = [found["filename"] for found in detections]
        file["window"] = np.array([found["window"] for found in detections])
        file["prediction"] = np.array([np.ravel(found["prediction"]) for found in detections])
