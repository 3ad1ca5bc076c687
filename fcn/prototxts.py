"""Prototxts: reads and writes them, and derives a net for pictures alone from a train or test net."""

import argparse
import importlib
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from google.protobuf import text_format

import caffe
from caffe.proto import caffe_pb2
from fcn import models, stages
from fcn.datasets import param_str
from fcn.datasets.dataset import Task

NetParameter: TypeAlias = caffe_pb2.NetParameter
CHANGES_CHANNELS = ("Convolution", "Deconvolution", "InnerProduct")
CHANNELS = {"depth": 1}  # of the blobs that a net reads; all others have 3


def deploy(net: NetParameter, height: int = 500, width: int = 500) -> NetParameter:
    """The deploy form of a train, val or test net: a NetParameter that reads pictures alone.

    Layers without a bottom (data layers) become one Input layer of the size given. Losses and
    accuracies go, layers of a training alone, and Dropout, which does nothing in a TEST net.
    """
    deployed = NetParameter()
    # a top comes twice where training and test have a data layer each
    sources = dict.fromkeys(top for layer in net.layer if not layer.bottom for top in layer.top)
    renamed: dict[str, str] = {}  # top -> bottom of a Dropout that is not in place
    kept = []
    for layer in net.layer:
        if layer.type == "Dropout":
            renamed[layer.top[0]] = renamed.get(layer.bottom[0], layer.bottom[0])
        elif layer.bottom and is_deployed(layer):
            kept.append(caffe_pb2.LayerParameter.FromString(layer.SerializeToString()))
            kept[-1].bottom[:] = [renamed.get(b, b) for b in layer.bottom]
    read = {bottom for layer in kept for bottom in layer.bottom}
    pictures = [top for top in sources if top in read]
    source = deployed.layer.add(name="input", type="Input", top=pictures)
    for top in pictures:
        source.input_param.shape.add(dim=[1, CHANNELS.get(top, 3), height, width])
    deployed.layer.extend(kept)
    return deployed


def is_loss(layer: Any) -> bool:
    """Whether a layer computes a loss: by its type, Caffe's or a fork's, or by its loss_weight."""
    return "Loss" in layer.type or any(layer.loss_weight)


def is_deployed(layer: Any) -> bool:
    """Whether a layer computes something in a deploy net: it judges nothing, and phase TEST has it."""
    phases = [rule.phase for rule in layer.include if rule.HasField("phase")]
    excluded = any(rule.HasField("phase") and rule.phase == caffe.TEST for rule in layer.exclude)
    left_out = excluded or (phases and caffe.TEST not in phases)
    judges = is_loss(layer) or layer.type in ("Accuracy", "HDF5Output")
    return not (left_out or judges)


def scored(net: NetParameter) -> dict[str, str]:
    """Score blob -> label blob of each SoftmaxWithLoss of a net, or `score` and `label` of one without."""
    tops = {top for layer in net.layer for top in layer.top}
    losses = [layer for layer in net.layer if layer.type == "SoftmaxWithLoss"]
    found = {layer.bottom[0]: layer.bottom[1] for layer in losses}
    return found or ({"score": "label"} if {"score", "label"} <= tops else {})


def outputs_of(net: NetParameter, blob: str) -> int:
    """The channels of a blob, followed down to the layer that decides them; 0 if none does."""
    for layer in reversed(list(net.layer)):
        if blob not in layer.top or not layer.bottom:
            continue
        if layer.type in CHANGES_CHANNELS:
            inner = layer.type == "InnerProduct"
            return (layer.inner_product_param if inner else layer.convolution_param).num_output
        if layer.type in ("Concat", "Slice", "Reshape", "Python", "Split"):
            return 0
        if list(layer.bottom[:1]) != [blob]:
            return outputs_of(net, layer.bottom[0])
    return 0


def data_layers(net: NetParameter) -> list[tuple[Any, dict[str, Any]]]:
    """(layer, param_str as a dict) of each Python layer without a bottom; {} for a param_str that is none."""
    found = []
    for layer in net.layer:
        if layer.type == "Python" and not layer.bottom:
            try:
                found.append((layer, param_str.parse(layer.python_param.param_str)))
            except ValueError:
                found.append((layer, {}))
    return found


def allow_own_layers(folder: Path) -> None:
    """Let the nets of a model folder name Python layers whose modules lie in it.

    Only for what reads the folder's data set, as training does: a net that somebody sent, with
    which pictures are segmented or which is looked at, runs no code of its own.
    """
    if hasattr(caffe, "allow_python_layers"):  # BVLC's pycaffe allows everything
        caffe.allow_python_layers(folder)


def layer_kind(layer: Any) -> Any:
    """The class that a Python layer names; ImportError where it cannot be had."""
    python = layer.python_param
    try:
        if hasattr(caffe, "python_layer_class"):
            return caffe.python_layer_class(layer)
        return getattr(importlib.import_module(python.module), python.layer)
    except (SystemError, AttributeError, NotImplementedError) as error:
        raise ImportError(str(error)) from None


def loss_is_summed(loss: Any) -> bool:
    """Whether a LossParameter sums over a picture's pixels, instead of taking their mean.

    `normalize: false` and BATCH_SIZE divide by the pictures of a batch, NONE by nothing.
    """
    if loss.HasField("normalize") and not loss.HasField("normalization"):
        return not loss.normalize
    return loss.normalization in (loss.BATCH_SIZE, loss.NONE)


def read_text(path: Path | str, message: Any) -> Any:
    """Fill a protobuf message from a prototxt; ValueError with file and line if it does not parse."""
    try:
        return text_format.Parse(Path(path).read_text(), message)
    except text_format.ParseError as error:
        raise ValueError(f"{path}:{error}") from None
    except UnicodeDecodeError:
        what = "no text, so no prototxt; a caffemodel holds weights, the net is in a prototxt"
        raise ValueError(f"{path}: {what}") from None


def read_net(path: Path | str) -> NetParameter:
    """The NetParameter in a prototxt of any age, in the current format."""
    return caffe.upgrade_net(read_text(path, NetParameter()), str(path))


def nets_of(folder: Path) -> dict[str, NetParameter]:
    """Stem -> net of a model folder: the one that is trained, then the one that is scored.

    They are those that solver.prototxt names; without one, the net that the folder is scored with.
    """
    solver = folder / "solver.prototxt"
    if solver.is_file():
        settings = read_text(solver, caffe_pb2.SolverParameter())
        scored = settings.test_net[0] if settings.test_net else settings.net
        names = [settings.train_net or settings.net, scored]
        paths = [folder / name for name in names if name]
    else:
        paths = [folder / f"{stem}.prototxt" for stem in models.STEMS]
        paths = [path for path in paths if path.is_file()][:1]
    return {path.stem: read_net(path) for path in dict.fromkeys(paths) if path.is_file()}


def load(prototxt: Path, weights: Path) -> caffe.Net:
    """The deploy form of the net in a prototxt, filled from a caffemodel, as a TEST net.

    ValueError for weights of another stage, or that lack layers; see `stages.fill`.
    """
    net = build(prototxt)
    stages.fill(net, weights, model_of(prototxt))
    return net


def build(prototxt: Path) -> caffe.Net:
    """The deploy form of the net in a prototxt, as a TEST net whose weights are not filled."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "deploy.prototxt"
        path.write_text(text_format.MessageToString(deploy(read_net(prototxt))))
        return caffe.Net(str(path), caffe.TEST)


def model_of(prototxt: Path) -> str:
    """The model folder that a prototxt is of; its `sample` folder is the same model."""
    folder = prototxt.resolve().parent
    return str(folder.parent if folder.name == "sample" else folder)


def text_of(net: NetParameter) -> str:
    """A NetParameter as the text of a prototxt."""
    return "# Written by net.py: change that, not this.\n" + text_format.MessageToString(net)


def prototxts(
    build: Callable[[str, Task], NetParameter], task: Task, deployed: bool = False
) -> dict[str, str]:
    """File stem -> text of each prototxt of a model; build(split, task) makes one net."""
    nets = {name: build(split, task) for name, split in task.nets.items()}
    if deployed:
        nets["deploy"] = deploy(nets[list(nets)[-1]])
    return {name: text_of(net) for name, net in nets.items()}


def write(
    script: str,
    build: Callable[[str, Task], NetParameter],
    task: Task,
    sample: Task | None = None,
    deployed: bool = False,
    released: Callable[[], dict[str, NetParameter]] | None = None,
) -> None:
    """The command line of a model's net.py: write the model's prototxts beside the script.

    `build(split, task)` makes a net. `sample` is the task that --sample stands for; its prototxts
    go to the folder `sample`. `deployed` adds deploy.prototxt; `released()`, file stem -> net, adds
    prototxts as their authors released them.
    """
    parser = argparse.ArgumentParser(description="write this model's prototxts")
    if sample:
        parser.add_argument("--sample", action="store_true", help="those of the embedded task")
    folder = Path(script).resolve().parent
    args = parser.parse_args()
    more = released() if released and not getattr(args, "sample", False) else {}
    if sample and args.sample:
        task, folder = sample, folder / "sample"
    for path in write_files(folder, build, task, deployed, more):
        print(f"wrote {path}")


def write_files(
    folder: Path,
    build: Callable[[str, Task], NetParameter],
    task: Task,
    deployed: bool = False,
    more: Mapping[str, NetParameter] | None = None,
) -> list[Path]:
    """Write a model's prototxts, and those of `more` nets, into a folder; returns their paths."""
    folder.mkdir(exist_ok=True)
    paths = []
    texts = {name: text_of(net) for name, net in (more or {}).items()}
    for name, text in (prototxts(build, task, deployed) | texts).items():
        paths.append(folder / f"{name}.prototxt")
        paths[-1].write_text(text)
    return paths
