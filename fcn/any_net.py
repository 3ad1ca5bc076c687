"""Any net that segments: its prototxt and weights, the names of its classes, the mean, what it reads.

It is named by a model folder, the project's or one's own, or by a prototxt with weights. What is not
given is looked for:

names  classes.txt beside the prototxt, a name a line (geo_classes.txt for a score_geo); else those of
       the data set that a published model's name begins with
mean   `mean` in the data layer's param_str, or its mean_value or mean_file, in the prototxt or in
       another beside it; mean.txt, mean.npy or mean.binaryproto there; else the published task's
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np

import caffe
from caffe.proto import caffe_pb2
from fcn import models, prototxts, weights
from fcn.datasets import param_str
from fcn.datasets.dataset import names_in
from fcn.inputs import READ
from fcn.tasks import Task, task_of

Names: TypeAlias = str | Path | Sequence[str]  # a file with a name a line, or the names
Mean: TypeAlias = str | Path | Sequence[float]  # "B,G,R", a file, or numbers
MOST_CLASSES = 256  # a palette picture has no more
MEAN_FILES = ("mean.txt", "mean.npy", "mean.binaryproto")
NOT_DEPLOYED = ("solver", "train")  # what names of prototxts begin with that are not for inference
CHANNELS = {"color": 3, "hha": 3, "depth": 1}


class AnyNet(NamedTuple):
    """The files of a net, and what they say."""

    model: str  # what messages call it
    prototxt: Path
    weights: Path
    kinds: dict[str, str]  # input blob -> "color", "depth" or "hha"
    mean: tuple[float, ...]  # BGR; () for a net that reads no colours
    names: tuple[str, ...] | None  # of the classes, if they are given and not found
    task: Task | None  # of a published model

    def load(self) -> caffe.Net:
        """The net for pictures, filled; errors as `prototxts.load`."""
        return prototxts.load(self.prototxt, self.weights)

    def names_of(self, blob: str, channels: int) -> tuple[str, ...]:
        """The class names of a score blob; ValueError if there are not as many as its channels."""
        names, where = self.names, "--names (names=)"
        if names is None or blob.endswith("_geo"):  # given names are of the first scores
            names, where = self._found_names(blob)
        if len(names) == channels <= MOST_CLASSES:
            return names
        if channels > MOST_CLASSES:
            limit = f"a picture of classes holds {MOST_CLASSES}"
            raise ValueError(f"{self.prototxt}: {blob} has {channels} channels; {limit}")
        raise ValueError(
            f"{self.prototxt}: {blob} has {channels} channels, a class each, but {where} "
            f"{'has 1 name' if len(names) == 1 else f'has {len(names)} names'}. "
            "Way out: a list of its own, one name a line, as classes.txt beside the prototxt or by "
            "--names (names=)"
        )

    def _found_names(self, blob: str) -> tuple[tuple[str, ...], str]:
        """The names that nobody gave, and where they were found."""
        file = "geo_classes.txt" if blob.endswith("_geo") else "classes.txt"
        path = self.prototxt.with_name(file)
        if path.is_file():
            return read_names(path), str(path)
        if self.task is not None:
            return self.task.names_of(blob), f"the data set {self.task.dataset.name}"
        raise ValueError(
            f"{path} is not there, so nobody knows what the classes of {self.model} are called. "
            "Way out: write it, one name a line, or give a file by --names (names=)"
        )


def find(
    model: str | Path,
    weights_file: str | Path | None = None,
    names: Names | None = None,
    mean: Mean | None = None,
    sample: bool = False,
    any_weights: bool = False,
) -> AnyNet:
    """The net that a model folder or a prototxt describes.

    FileNotFoundError for files that are not there, ValueError for what nobody can know, and for a
    file that is not the published one of its name unless `any_weights`.
    """
    given = None if weights_file is None else Path(weights_file).expanduser()
    path = Path(model).expanduser()
    if path.suffix == ".prototxt" or path.is_file():
        name, prototxt, file = str(path), path, _weights_of_prototxt(path, given, any_weights)
    else:
        name = models.model_name(str(path))
        prototxt = _prototxt(name, sample)
        file = _weights(name, given, sample, any_weights)
    task = _published(prototxts.model_of(prototxt), sample or prototxt.parent.name == "sample")
    kinds = input_kinds(prototxt)
    found = () if "color" not in kinds.values() else _mean(prototxt, mean, task)
    listed = None if names is None else read_names(names)
    return AnyNet(name, prototxt, file, kinds, found, listed, task)


# ---- files


def _weights_of_prototxt(prototxt: Path, given: Path | None, any_weights: bool) -> Path:
    if not prototxt.is_file():
        raise FileNotFoundError(f"no prototxt {prototxt.absolute()}")
    if given is None:
        raise ValueError(f"{prototxt}: a prototxt needs its weights, by --weights (weights=)")
    if not given.is_file():
        raise FileNotFoundError(f"no weights file {given.absolute()}")
    weights.check(given, any_weights)
    return given


def _prototxt(model: str, sample: bool) -> Path:
    """The prototxt of a model folder; one of another name if it is the only one there."""
    try:
        return models.prototxt_of(model, sample)
    except FileNotFoundError:
        paths = models.folder(model, sample).glob("*.prototxt")
        only = [path for path in paths if not path.stem.startswith(NOT_DEPLOYED)]
        if len(only) != 1:
            raise
        return only[0]


def _weights(model: str, given: Path | None, sample: bool, any_weights: bool) -> Path:
    """The weights of a model folder; a caffemodel of another name if it is the only one there."""
    if given is None and not weights.existing(model, sample):
        only = list(models.own_folder(model, sample).glob("*.caffemodel"))
        if len(only) == 1:
            print(f"{model}: taking {only[0]}, the only caffemodel there", flush=True)
            return only[0]
    return weights.given_or_found(given, model, sample, any_weights)


def _published(model: str, sample: bool) -> Task | None:
    """The task that a model's name tells; None for other names."""
    try:
        return task_of(model, sample)
    except ValueError:
        return None


# ---- what a net reads


def input_kinds(prototxt: Path) -> dict[str, str]:
    """Input blob -> "color", "depth" or "hha", of the deploy form of a net.

    An NYUDv2 net's data layer says in its param_str what its tops are. Other nets read colours.
    ValueError for an input of other channels.
    """
    net = prototxts.read_net(prototxt)
    stated: dict[str, str] = {}
    for layer, params in _python_layers(net):
        stated.update(zip(layer.top, params.get("tops", ())))
    named = {blob: stated.get(blob, blob) for blob in prototxts.deploy(net).layer[0].top}
    kinds = {blob: kind if kind in READ else "color" for blob, kind in named.items()}
    for layer in net.layer:
        for blob, shape in zip(layer.top, layer.input_param.shape):
            wanted = CHANNELS[kinds[blob]] if blob in kinds else shape.dim[1]
            if shape.dim[1:2] != [wanted]:
                what = f"input {blob} has shape {list(shape.dim)}"
                raise ValueError(f"{prototxt}: {what}; {kinds[blob]} is 1 x {wanted} x H x W")
    if not kinds:
        raise ValueError(f"{prototxt}: no layer reads pictures, so this is no net to segment with")
    return kinds


def _python_layers(net: prototxts.NetParameter) -> Iterator[tuple[Any, dict[str, Any]]]:
    """The Python layers whose param_str is a dict, with that; another's param_str is its own affair."""
    for layer in net.layer:
        if layer.type == "Python":
            try:
                yield layer, param_str.parse(layer.python_param.param_str)
            except ValueError:
                continue


# ---- names


def read_names(names: Names) -> tuple[str, ...]:
    """Class names, from a file with one a line or from a list; ValueError if two are the same."""
    if not isinstance(names, str | Path):
        return names_in(names, "names")
    lines = Path(names).expanduser().read_text("utf-8-sig").splitlines()
    return names_in(lines, str(names))


# ---- means


def _mean(prototxt: Path, given: Mean | None, task: Task | None) -> tuple[float, ...]:
    """The mean of the colours, BGR, from the first place that has it; ValueError if none does."""
    if given is not None:
        return read_mean(given)
    for net in [prototxts.read_net(prototxt), *_beside(prototxt)]:
        for mean in stated_means(net, prototxt):
            return mean
    for name in MEAN_FILES:
        if (path := prototxt.with_name(name)).is_file():
            return read_mean(path)
    if task is not None:
        return task.mean
    raise ValueError(
        f"{prototxt}: the mean that was subtracted in training is in no data layer there, and no "
        f"{', '.join(MEAN_FILES)} lies beside it. Way out: --mean B,G,R (mean=), 0,0,0 for none"
    )


def _beside(prototxt: Path) -> Iterator[prototxts.NetParameter]:
    """The nets in the other prototxts of a folder; a solver is none."""
    for path in sorted(prototxt.parent.glob("*.prototxt")):
        try:
            if path != prototxt:
                yield prototxts.read_net(path)
        except ValueError:
            continue


def stated_means(net: prototxts.NetParameter, prototxt: Path) -> Iterator[tuple[float, ...]]:
    """The means that the data layers of a net state; messages name `prototxt`."""
    for layer, params in _python_layers(net):
        if not layer.bottom and "mean" in params:
            yield numbers(params["mean"], str(prototxt))
    for layer in net.layer:
        transform = layer.transform_param
        if layer.bottom or not layer.HasField("transform_param"):
            continue
        if transform.scale != 1:
            what = f"layer {layer.name!r} ({layer.type}) scales pixels by {transform.scale:g}"
            raise ValueError(f"{prototxt}: {what}; pictures are given unscaled, 0 to 255")
        if transform.mean_value:
            yield numbers(transform.mean_value, str(prototxt))
        elif transform.mean_file:
            path = prototxt.parent / transform.mean_file
            yield read_mean(path if path.is_file() else transform.mean_file)


def read_mean(mean: Mean) -> tuple[float, ...]:
    """Three numbers, BGR: given so, as the text "B,G,R", or in a file of MEAN_FILES' kinds.

    A mean picture becomes the mean of its pixels. ValueError if there are not three numbers, or one.
    """
    if not isinstance(mean, str | Path):
        return numbers(mean, "mean")
    if re.fullmatch(r"[-+.\deE,;\s]+", str(mean)):
        return numbers(re.split(r"[,;\s]+", str(mean).strip()), f"mean {mean}")
    path = Path(mean).expanduser()
    if path.suffix == ".npy":
        values = np.load(path, allow_pickle=False)
    elif path.suffix == ".binaryproto":
        blob = caffe_pb2.BlobProto.FromString(path.read_bytes())
        values = caffe.io.blobproto_to_array(blob)
    else:
        return numbers(re.split(r"[,;\s]+", path.read_text().strip()), str(path))
    if values.ndim > 2:  # 1 x C x H x W or C x H x W
        values = values.reshape(-1, *values.shape[-2:]).mean((1, 2))
    return numbers(values.ravel(), str(path))


def numbers(values: Iterable[Any], where: str) -> tuple[float, ...]:
    """Three floats, of three values or of one; ValueError if they are none."""
    listed = list(np.atleast_1d(np.asarray(values, object)))
    try:
        found = tuple(float(value) for value in listed)
    except ValueError:
        found = ()
    if len(found) not in (1, 3) or not np.isfinite(found).all():
        what = ", ".join(map(str, listed[:4]))
        raise ValueError(f"{where}: a mean is three numbers, B,G,R, or one for all; found {what}")
    return found * (3 // len(found))
