"""Who takes part: a row a contestant, and how each is built from the files of `fcn8s.write`."""

import importlib
import importlib.metadata
from collections.abc import Callable
from typing import NamedTuple

import torch

import caffe

from . import peer_onnx, peer_torch
from .contest import INSTALL, OURS, Contestant, LeftOut


class Peer(NamedTuple):
    """`build(folder, precision, size, device)` makes a function from picture to scores.

    The picture is a NumPy array of any size, or of `size` if one is given; so are the scores, which
    may be overwritten by the next call.
    """

    name: str
    precision: str
    module: str
    build: Callable
    devices: tuple = ("cpu", "cuda")


def ours(folder, precision, size, device):
    """Our engine, used the way its users do."""
    net = caffe.Net(str(folder / "fcn8s.prototxt"), str(folder / "fcn8s.caffemodel"), caffe.TEST)
    data = net.blobs["data"]

    def run(x):
        data.reshape(*x.shape)
        data.data[...] = x
        return net.forward()["score"]

    return run


def opencv_net(prototxt, caffemodel):
    """OpenCV's dnn module reads Caffe's files as they are, up to version 4."""
    import cv2

    if int(cv2.__version__.split(".")[0]) >= 5:
        raise LeftOut(f"version {cv2.__version__} reads no caffemodel: {INSTALL}")
    cv2.setNumThreads(torch.get_num_threads())
    return cv2.dnn.readNetFromCaffe(str(prototxt), str(caffemodel))


def opencv(folder, precision, size, device):
    """A function from picture to scores."""
    net = opencv_net(folder / "fcn8s.prototxt", folder / "fcn8s.caffemodel")

    def run(x):
        net.setInput(x, "data")
        return net.forward("score")

    return run


PEERS = (
    Peer(OURS, "float32", "caffe", ours),
    Peer("PyTorch eager", "float32", "torch", peer_torch.eager),
    Peer("ONNX Runtime", "float32", "onnxruntime", peer_onnx.onnxruntime),
    Peer("OpenVINO", "float32", "openvino", peer_onnx.openvino, ("cpu",)),
    Peer("OpenCV dnn", "float32", "cv2", opencv, ("cpu",)),
    Peer(OURS, "tf32", "caffe", ours, ("cuda",)),
    Peer("PyTorch eager", "tf32", "torch", peer_torch.eager, ("cuda",)),
    Peer(OURS, "bf16", "caffe", ours),
    Peer("PyTorch autocast", "bf16", "torch", peer_torch.autocast),
    Peer("OpenVINO", "bf16", "openvino", peer_onnx.openvino, ("cpu",)),
)
DISTRIBUTIONS = (
    "torch",
    "numpy",
    "onnx",
    "onnxruntime",
    "onnxruntime-gpu",
    "openvino",
    "opencv-python-headless",
    "opencv-python",
)


def switch(name, precision):
    """Set what holds for the whole process as a contestant needs it; LeftOut if it cannot be."""
    try:
        caffe.set_precision(precision if name == OURS else "float32")
    except RuntimeError as error:
        raise LeftOut(str(error)) from None
    if name != OURS:
        caffe.context.allow_tf32(precision == "tf32")
        torch.backends.cudnn.benchmark = True


def importable(module):
    """Import what a contestant runs on; LeftOut where it is not installed."""
    try:
        importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise LeftOut(f"{error.name} is not installed: {INSTALL}") from None


def build(peer, folder, size, device):
    """A Contestant; LeftOut for one that cannot be had here."""
    importable(peer.module)
    switch(peer.name, peer.precision)
    run = peer.build(folder, peer.precision, size, device)
    return Contestant(peer.name, peer.precision, run, lambda: switch(peer.name, peer.precision))


def build_all(folder, size, device):
    """(contestants, {who: why it was left out}) for a device."""
    made, left_out = [], {}
    for peer in PEERS:
        if device.type in peer.devices:
            try:
                made.append(build(peer, folder, size, device))
            except LeftOut as error:
                left_out[f"{peer.name} {peer.precision}"] = str(error)
    return made, left_out


def versions():
    """{distribution: version} of what is installed of us and the peers."""
    found = {}
    for name in DISTRIBUTIONS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found | {"torch": torch.__version__}  # with the CUDA it is built for
