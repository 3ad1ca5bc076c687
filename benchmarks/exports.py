"""FCN-8s as ONNX, written by caffe.export and by torch.onnx from the module that is written by hand, in
the two runtimes that take it.

Seconds are the processors', of all threads: both files run on the same ones, and what else the machine does
meanwhile changes little.
"""

import time
import warnings
from statistics import median

import torch

import caffe

from . import contest, fcn8s, peer_onnx, peer_torch, peers
from .contest import INSTALL, OURS, REFERENCE, Contestant, LeftOut, Target

WARM = 1  # pictures before those that count
BY_TORCH = "torch.onnx"
# As fast as: medians of one run differ by as much
AS_FAST = tuple(Target(runtime, 1.05, (BY_TORCH,)) for runtime in ("ONNX Runtime", "OpenVINO"))


def written_by_us(folder):
    """The file that caffe.export writes."""
    path = folder / "ours.onnx"
    files = [str(folder / f"fcn8s.{ending}") for ending in ("prototxt", "caffemodel")]
    caffe.export(caffe.Net(*files, caffe.TEST), path)
    return path


def written_by_torch(folder):
    """The file that torch.onnx writes, its sizes free as in ours."""
    path = folder / "torch.onnx"
    model = peer_torch.read(folder, torch.device("cpu")).eval()
    batch, height, width = (torch.export.Dim(name) for name in ("batch", "height", "width"))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                model,
                (torch.zeros(2, 3, 64, 96),),
                path,
                input_names=["data"],
                output_names=["score"],
                dynamic_shapes=({0: batch, 2: height, 3: width},),
                verbose=False,
            )
    except ModuleNotFoundError as error:
        raise LeftOut(
            f"{error.name}, with which torch.onnx writes, is not installed: {INSTALL}"
        ) from None
    return path


WRITERS = {OURS: written_by_us, BY_TORCH: written_by_torch}
RUNTIMES = {
    "ONNX Runtime": ("onnxruntime", peer_onnx.run_by_onnxruntime),
    "OpenVINO": (
        "openvino",
        lambda path, size, device: peer_onnx.run_by_openvino(path, "float32", size),
    ),
}


def contestants(folder, size):
    """(contestants, {who: why it was left out}): each file in each runtime, and what is right."""
    device = torch.device("cpu")
    reference = peer_torch.eager(folder, "float32", size, device)
    made, left_out, paths = [Contestant(*REFERENCE, reference)], {}, {}
    for writer, write in WRITERS.items():
        try:
            peers.importable("onnx")
            paths[writer] = write(folder)
        except LeftOut as error:
            left_out[writer] = str(error)
    for runtime, (module, build) in RUNTIMES.items():
        try:
            peers.importable(module)
        except LeftOut as error:
            left_out[runtime] = str(error)
            continue
        made += [Contestant(who, runtime, build(path, size, device)) for who, path in paths.items()]
    return made, left_out


def exports(options, folder):
    """Median processor seconds a picture of one size."""
    if options.device.type == "cuda":
        left_out = {"exports": "the runtimes are compared on the CPU"}
        return {"title": "exports", "unit": "s", "rows": [], "left_out": left_out, "targets": ()}
    height, width = options.size
    made, left_out = contestants(folder, options.size)
    pictures = (x for x, _ in fcn8s.pictures(height, width, options.runs + WARM))
    rows = contest.compete(made, pictures, WARM, median, contest.distance, clock=time.process_time)
    title = f"exports: FCN-8s as ONNX, {height}x{width}, processor seconds, median of {options.runs} pictures"
    return {"title": title, "unit": "s", "rows": rows, "left_out": left_out, "targets": AS_FAST}
