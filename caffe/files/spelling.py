"""Words that mean the same: names of types and fields, brought to those of Caffe 1.0.

Old versions and forks of Caffe write them otherwise. What only a fork has keeps the fork's name.
"""

from collections.abc import Iterator
from typing import Any

from ..proto import caffe_pb2

V1 = caffe_pb2.V1LayerParameter

# V1 type -> V2 type, where it is not the V1 type's words with capitals, joined
V2_TYPES = {
    "NONE": "",
    "ABSVAL": "AbsVal",
    "ARGMAX": "ArgMax",
    "BN": "BN",
    "BNLL": "BNLL",
    "DENSE_CRF": "DenseCRF",
    "HDF5_DATA": "HDF5Data",
    "HDF5_OUTPUT": "HDF5Output",
    "LRN": "LRN",
    "MVN": "MVN",
    "PI_WINDOW_DATA": "PIWindowData",
    "PRELU": "PReLU",
    "RELU": "ReLU",
    "ROI_POOLING": "ROIPooling",
    "SOFTMAX_LOSS": "SoftmaxWithLoss",
    "TANH": "TanH",
}
# a fork's name -> the name of the layer that computes the same
SAME_TYPES = {
    "SmoothL1LossOHEM": "SmoothL1Loss",  # intel/caffe: R-FCN's layers, which have more tops
    "SoftmaxWithLossOHEM": "SoftmaxWithLoss",
    "SoftmaxLoss": "SoftmaxWithLoss",  # V1's name, as a string
}
SAME_FILLERS = {"bilinear_upsampling": "bilinear"}  # CCNN


def v2_name(name: str) -> str:
    """The V2 name of a V1 type's name."""
    return V2_TYPES.get(name, "".join(word.capitalize() for word in name.split("_")))


def v2_type(old: int) -> str:
    """The V2 name of a V1 layer type, which is a number."""
    return v2_name(V1.LayerType.Name(old))


_V1_NAMES = {name: v2_name(name) for name in V1.LayerType.DESCRIPTOR.values_by_name}


def respell_net(net: caffe_pb2.NetParameter, name: str) -> None:
    """Bring the words of a net's layers to Caffe's, in place. `name` is for messages.

    What a fork means without saying so is said. ValueError where two words contradict each other.
    """
    for layer in net.layer:
        respell(layer, name)
    if any(layer.type == "ImageLabelmapData" for layer in net.layer):
        # only HED has this layer, and its sigmoid loss is another one
        for layer in net.layer:
            stated = layer.loss_param.HasField("class_balanced")
            if layer.type == "SigmoidCrossEntropyLoss" and not stated:
                layer.loss_param.class_balanced = True


def respell(layer: caffe_pb2.LayerParameter, net: str) -> None:
    """Bring the words of a layer to Caffe's, in place. `net` is for messages.

    ValueError where two words for one thing say different things.
    """
    current = SAME_TYPES.get(layer.type, _V1_NAMES.get(layer.type, layer.type))
    if layer.type != current:
        layer.type = current
    about = f"{net}: layer '{layer.name}' ({layer.type})"
    if layer.HasField("convolution_param"):
        _respell_hole(layer.convolution_param, about)
    if layer.pooling_param.HasField("ceil_mode"):
        _respell_ceil_mode(layer.pooling_param, about)
    for filler in _fillers(layer):
        if filler.type in SAME_FILLERS:
            filler.type = SAME_FILLERS[filler.type]


def _respell_hole(param: Any, about: str) -> None:
    """DeepLab's `hole`, the step between the cells that a kernel reads, is Caffe's `dilation`."""
    stated = [name for name in ("hole", "hole_h", "hole_w") if param.HasField(name)]
    if not stated:
        return
    height = param.hole_h if "hole_h" in stated else param.hole
    width = param.hole_w if "hole_w" in stated else param.hole
    holes = [height] if height == width else [height, width]
    if param.dilation and list(param.dilation) != holes:
        raise ValueError(
            f"{about}: dilation {list(param.dilation)} and hole {holes} are two words for one "
            "thing: state one"
        )
    if holes != [1]:
        param.dilation[:] = holes
    for name in stated:
        param.ClearField(name)


def _respell_ceil_mode(param: Any, about: str) -> None:
    """`ceil_mode: false` is Caffe's `round_mode: FLOOR`."""
    mode = param.CEIL if param.ceil_mode else param.FLOOR
    if param.HasField("round_mode") and param.round_mode != mode:
        raise ValueError(
            f"{about}: round_mode {param.RoundMode.Name(param.round_mode)} and ceil_mode "
            f"{str(param.ceil_mode).lower()} say different things: state one"
        )
    if mode != param.CEIL:
        param.round_mode = mode
    param.ClearField("ceil_mode")


def _fillers(message: Any) -> Iterator[Any]:
    """All FillerParameters within a message."""
    for field, value in message.ListFields():
        if field.message_type is None or field.message_type.name == "BlobProto":
            continue
        for inner in value if hasattr(value, "add") else [value]:
            if field.message_type.name == "FillerParameter":
                yield inner
            else:
                yield from _fillers(inner)
