"""The well-known nets of examples/known_nets.py beside the peers, in phase TEST: a picture, and a batch.

OpenCV reads our prototxt and caffemodel, the others the ONNX that caffe.export writes. What
everybody answers is held against the plain way of running a net, layer by layer in PyTorch's kernels.
"""

import importlib.util
import sys
from pathlib import Path
from statistics import median

import numpy as np
import torch

import caffe
from caffe.exporting import deploy
from caffe.running.runner import LayerByLayer

from . import contest, peer_onnx, peers
from .contest import OURS, REFERENCE, Contestant, LeftOut, Target

TOLERANCE = 1e-5  # of the answers' norm
WARM = 3  # passes that do not count, the threads' and the allocators' first
EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
# net -> the batches that are timed
BATCHES = {
    "lenet": (1, 64),
    "cifar10_quick": (1, 100),
    "alexnet": (1,),
    "caffenet": (1, 8),
    "googlenet": (1, 8),
    "resnet50": (1, 8),
    "squeezenet": (1, 8),
    "vgg16": (1,),
    "hed": (1,),
}


def known_nets():
    """The module examples/known_nets.py, whose folder is no package."""
    sys.path.insert(0, str(EXAMPLES))
    try:
        spec = importlib.util.spec_from_file_location("known_nets", EXAMPLES / "known_nets.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(EXAMPLES))
    return module


def fill(net, seed=0):
    """Weights under which maps neither fade nor explode, so that a wrong one shows in the answer."""
    draw = torch.Generator().manual_seed(seed)
    for layer in net.layers:
        for i, blob in enumerate(layer.blobs):
            x = blob.x
            if layer.type == "BatchNorm":
                x.fill_(1) if i == 2 else x.uniform_(0.5 * i, i + 0.5, generator=draw)
            elif layer.type == "Scale":
                x.uniform_(0.2, 0.6, generator=draw)
            elif layer.type == "Deconvolution":
                continue  # interpolates
            elif i:
                x.normal_(0, 0.1, generator=draw)
            else:
                fan_in = x.numel() // x.shape[0]
                x.normal_(0, (2 / fan_in) ** 0.5, generator=draw)


def write(name, batch, folder):
    """(prototxt, caffemodel, ONNX file or None, names of the outputs) of a net on a batch."""
    training = caffe.Net.from_param(known_nets().net(name, batch))
    deployed, part = deploy.of_net(training)
    fill(deployed)
    paths = [folder / f"{name}-{batch}.{end}" for end in ("prototxt", "caffemodel", "onnx")]
    paths[0].write_text(str(part.param))
    deployed.save(str(paths[1]))
    if importlib.util.find_spec("onnx"):
        caffe.export(deployed, paths[2])
    return paths, part.outputs


def ours(paths, outputs, shape):
    """The way its users run a net."""
    net = caffe.Net(str(paths[0]), str(paths[1]), caffe.TEST)

    def run(x):
        net.blobs["data"].data[...] = x
        return answers(net.forward(), outputs)

    return run


def plain(paths, outputs):
    """Layer by layer, every layer in full, by PyTorch's convolutions."""
    net = caffe.Net(str(paths[0]), str(paths[1]), caffe.TEST)
    runner = LayerByLayer(net._topology)

    def run(x):
        net.blobs["data"].data[...] = x
        runner.forward(0, net._topology.last)
        return answers({name: net.blobs[name].data for name in outputs}, outputs)

    return run


def answers(found, outputs):
    """All outputs as one row of numbers."""
    return np.concatenate([np.ravel(found[name]) for name in outputs])


def onnxruntime(paths, outputs, shape):
    """ONNX Runtime on the exported file."""
    session = peer_onnx.session(paths[2], shape)
    return lambda x: answers(dict(zip(outputs, session.run(outputs, {"data": x}))), outputs)


def openvino(paths, outputs, shape):
    """OpenVINO on the exported file."""
    request = peer_onnx.request(paths[2], "float32", shape)

    def run(x):
        found = request.infer({"data": x}, share_inputs=True, share_outputs=True)
        return answers(found, outputs)

    return run


def opencv(paths, outputs, shape):
    """OpenCV's dnn module on our own two files."""
    net = peers.opencv_net(*paths[:2])

    def run(x):
        net.setInput(x, "data")
        return answers(dict(zip(outputs, net.forward(outputs))), outputs)

    return run


PEERS = {
    OURS: ("caffe", ours),
    "ONNX Runtime": ("onnxruntime", onnxruntime),
    "OpenVINO": ("openvino", openvino),
    "OpenCV dnn": ("cv2", opencv),
}


def contestants(group, paths, outputs, shape):
    """(contestants, {who: why it was left out}) for one net on one batch."""
    made, left_out = [Contestant(*REFERENCE, plain(paths, outputs))], {}
    for name, (module, build) in PEERS.items():
        try:
            peers.importable(module)
            made.append(Contestant(name, group, build(paths, outputs, shape)))
        except LeftOut as error:
            left_out[name] = str(error)
    return made, left_out


def rows_of(name, batch, options, folder):
    """The rows of one net on one batch, without the reference's; who was left out."""
    paths, outputs = write(name, batch, folder)
    shape = (batch, *known_nets().NETS[name].data)
    made, left_out = contestants(f"{name} x{batch}", paths, outputs, shape)
    draw = np.random.default_rng(0)
    items = (draw.normal(0, 1, shape).astype(np.float32) for _ in range(4 * options.runs + WARM))
    rows = contest.compete(made, items, WARM, median, contest.distance, tolerance=TOLERANCE)
    for path in paths:
        path.unlink(missing_ok=True)  # of some 100 MB
    for row in rows:
        row["value"] *= 1e3
    return [row for row in rows if (row["name"], row["group"]) != REFERENCE], left_out


def nets(options, folder):
    """Median milliseconds of a forward of each net and batch."""
    record = {"title": "nets", "unit": "ms", "rows": [], "left_out": {}, "targets": ()}
    if options.device.type == "cuda":
        return record | {"left_out": {"nets": "the runtimes are compared on the CPU"}}
    passes = 4 * options.runs
    record["title"] = f"nets: examples/known_nets.py, x batch, median of {passes} passes"
    cases = [(name, batch) for name, batches in BATCHES.items() for batch in batches]
    for name, batch in cases:
        if options.net and name not in options.net:
            continue
        rows, left_out = rows_of(name, batch, options, folder)
        record["rows"] += rows
        record["left_out"] |= left_out
    groups = dict.fromkeys(row["group"] for row in record["rows"])
    return record | {"targets": tuple(Target(group, 1.0) for group in groups)}
