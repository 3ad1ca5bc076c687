"""The net that is explained: its deploy form at a size of picture, read from a prototxt and built."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import caffe
from fcn import models, prototxts

SIDE = 500  # of a picture where neither the net nor anybody else states a size
STATED = {"Input": "input_param", "DummyData": "dummy_data_param", "Parameter": "parameter_param"}


class Explained(NamedTuple):
    """A net, as a prototxt and as built."""

    path: Path
    param: prototxts.NetParameter  # the deploy form
    net: caffe.Net

    def layers(self) -> Iterator[tuple[int, Any]]:
        """(index in the built net, layer) of each layer that the prototxt has."""
        names = {layer.name for layer in self.param.layer}
        for index, layer in enumerate(self.net.layers):
            if layer.layer_param.name in names:  # the others are the Splits that building adds
                yield index, layer

    def picture(self) -> list[int]:
        """Height and width of the picture; [] if the net reads none."""
        shapes = [list(self.net.blobs[name].shape) for name in self.param.layer[0].top]
        return next((shape[2:] for shape in shapes if len(shape) == 4), [])


def read(name: str, sample: bool = False, size: Sequence[int] = ()) -> Explained:
    """The net of a model folder or a prototxt, for pictures of `size` ([channels,] height, width).

    ValueError for what is no net, and for one that cannot be built.
    """
    path = prototxt(name, sample)
    net = prototxts.read_net(path)
    if not net.layer:
        raise ValueError(f"{path}: no layers, so this is no net")
    param = deployed(net, size)
    source, *layers = param.layer
    if not layers:
        raise ValueError(f"{path}: nothing but data layers, losses and accuracies")
    if not source.top:
        blob = next((name for layer in layers for name in layer.bottom), "")
        raise ValueError(f"{path}: no layer gives {blob!r}, which {layers[0].name!r} reads")
    try:
        return Explained(path, param, caffe.Net.from_param(param, str(path.resolve().parent)))
    except Exception as error:
        own = [layer.name for layer in layers if layer.type == "Python"]
        if isinstance(error, ValueError) or not own:
            raise
        # the code of a Python layer, which may raise whatever it likes, or which is not there
        raise ValueError(
            f"{path}: the net cannot be built, perhaps for a Python layer ({', '.join(own)}): {error}"
        ) from error


def prototxt(name: str, sample: bool) -> Path:
    """The file that a command line names: a prototxt, a model folder or a net of ilsvrc-nets."""
    if Path(name).is_file():
        return Path(name)
    classifier = name.startswith(f"{models.CLASSIFIERS}/")
    return models.prototxt_of(name if classifier else models.model_name(name), sample)


def deployed(net: prototxts.NetParameter, size: Sequence[int] = ()) -> prototxts.NetParameter:
    """The deploy form, whose inputs have the shapes that the net states, and `size` where it is given."""
    param = prototxts.deploy(net, SIDE, SIDE)
    own: dict[str, list[int]] = {}
    for layer in net.layer:
        for k, top in enumerate(layer.top if not layer.bottom else ()):
            own[top] = stated_shape(layer, k) or own.get(top, [])
    source = param.layer[0]
    size = size if len(source.top) == 1 else size[-2:]  # each of several keeps its channels
    for top, shape in zip(source.top, source.input_param.shape):
        dims = own.get(top) or list(shape.dim)
        shape.dim[:] = [*dims[: len(dims) - len(size)], *size] if len(dims) == 4 else dims
    return param


def stated_shape(layer: Any, index: int) -> list[int]:
    """The shape of a data layer's top as far as the prototxt tells; [] if it does not."""
    if layer.type in STATED:
        shapes = getattr(layer, STATED[layer.type]).shape
        shapes = [shapes] if layer.type == "Parameter" else list(shapes)
        return list(shapes[min(index, len(shapes) - 1)].dim) if shapes else []
    if index:
        return []  # a label
    if layer.type == "MemoryData":
        param = layer.memory_data_param
        return [param.batch_size, param.channels, param.height, param.width]
    channels = 1 if layer.transform_param.force_gray else 3
    crop, image = layer.transform_param.crop_size, layer.image_data_param
    if crop:
        return [1, channels, crop, crop]
    if image.new_height and image.new_width:
        return [1, channels if image.is_color else 1, image.new_height, image.new_width]
    return []
