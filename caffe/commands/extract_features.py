"""`caffe extract_features`: blobs of a net to databases (tools/extract_features.cpp)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence

import caffe

from ..files import database
from ..glog import error, info
from ..proto import caffe_pb2
from .flags import UsageError, parse, require_arguments

USAGE = (
    "usage: caffe extract_features WEIGHTS NET BLOB[,BLOB...] DATABASE[,DATABASE...] BATCHES "
    "BACKEND [CPU|GPU] [DEVICE_ID=0]"
)
_BATCH = 1000  # records a transaction, and between two log lines


def extract_features(argv: Sequence[str]) -> int:
    """Run a net's TEST phase and put blobs of it, one Datum a picture, into databases."""
    _, arguments = parse(argv, (), "extract_features", USAGE)
    require_arguments(arguments, 6, USAGE)
    weights, model, blobs, targets, batches, backend = arguments[:6]
    names, paths = blobs.split(","), targets.split(",")
    if len(names) != len(paths):
        raise UsageError(f"{len(names)} blobs and {len(paths)} databases: as many are needed")
    if not batches.isdecimal():
        raise UsageError(f"the number of batches is a whole number, got '{batches}'")
    _choose_device(arguments[6:])
    net = caffe.Net(model, caffe_pb2.TEST, weights=weights)
    for name in names:
        if name not in net.blobs:
            raise ValueError(f"{model}: no blob '{name}'; it has {', '.join(net.blobs)}")
    with contextlib.ExitStack() as stack:
        puts = []
        for path in paths:
            info("extract_features.cpp:128", f"Opening dataset {path}")
            puts.append(stack.enter_context(database.create(backend, path)))
        error("extract_features.cpp:135", "Extracting Features")
        _extract(net, dict(zip(names, puts)), int(batches))
    error("extract_features.cpp:187", "Successfully extracted the features!")
    return 0


def _choose_device(arguments: Sequence[str]) -> None:
    """Compute where the last arguments say: [CPU|GPU] [DEVICE_ID=0]."""
    if not arguments or arguments[0] != "GPU":
        error("extract_features.cpp:65", "Using CPU")
        caffe.set_mode_cpu()
        return
    number = arguments[1].removeprefix("DEVICE_ID=") if len(arguments) > 1 else "0"
    if not number.isdecimal():
        raise UsageError(f"DEVICE_ID is the number of a GPU, got '{arguments[1]}'; {USAGE}")
    error("extract_features.cpp:55", "Using GPU")
    error("extract_features.cpp:61", f"Using Device_id={number}")
    caffe.set_device(int(number))
    caffe.set_mode_gpu()


def _extract(
    net: caffe.Net, puts: dict[str, Callable[[Iterable[database.Record]], None]], batches: int
) -> None:
    """Run the net `batches` times; put each picture's values of each blob into its database."""
    counts = dict.fromkeys(puts, 0)
    pending: dict[str, list[database.Record]] = {name: [] for name in puts}

    def flush(name: str) -> None:
        puts[name](pending[name])
        pending[name].clear()
        text = f"Extracted features of {counts[name]} query images for feature blob {name}"
        error("extract_features.cpp:175", text)

    for _ in range(batches):
        net._forward(0, len(net.layers) - 1)
        for name in puts:
            blob = net.blobs[name]
            _, channels, height, width = blob.legacy_shape()
            for row in blob.data.reshape(-1, channels * height * width):
                datum = caffe_pb2.Datum(channels=channels, height=height, width=width)
                datum.float_data.extend(row)
                pending[name].append((f"{counts[name]:010d}".encode(), datum.SerializeToString()))
                counts[name] += 1
                if counts[name] % _BATCH == 0:
                    flush(name)
    for name in puts:
        if pending[name]:
            flush(name)
