"""Prototxts: reads and writes them, and derives a net for pictures alone from a train or test net."""

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

from google.protobuf import text_format

import caffe
from caffe.proto import caffe_pb2
from fcn import stages
from fcn.tasks import Task

NetParameter: TypeAlias = caffe_pb2.NetParameter
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


def is_deployed(layer: Any) -> bool:
    """Whether a layer computes something in a deploy net: it judges nothing, and phase TEST has it."""
    phases = [rule.phase for rule in layer.include if rule.HasField("phase")]
    excluded = any(rule.HasField("phase") and rule.phase == caffe.TEST for rule in layer.exclude)
    left_out = excluded or (phases and caffe.TEST not in phases)
    judges = layer.type.endswith("Loss") or layer.type in ("Accuracy", "HDF5Output")
    return not (left_out or judges)


def scored(net: NetParameter) -> dict[str, str]:
    """Score blob -> label blob of each SoftmaxWithLoss of a net."""
    losses = [layer for layer in net.layer if layer.type == "SoftmaxWithLoss"]
    return {layer.bottom[0]: layer.bottom[1] for layer in losses}


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
) -> None:
    """The command line of a model's net.py: write the model's prototxts beside the script.

    `build(split, task)` makes a net. `sample` is the task that --sample stands for; its prototxts
    go to the folder `sample`. `deployed` adds deploy.prototxt.
    """
    parser = argparse.ArgumentParser(description="write this model's prototxts")
    if sample:
        parser.add_argument("--sample", action="store_true", help="those of the embedded task")
    folder = Path(script).resolve().parent
    args = parser.parse_args()
    if sample and args.sample:
        task, folder = sample, folder / "sample"
    for name, text in prototxts(build, task, deployed).items():
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.prototxt").write_text(text)
        print(f"wrote {folder / name}.prototxt")
