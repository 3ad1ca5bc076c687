"""The window of a layer along one axis: kernel, stride, padding, dilation, however a prototxt states them."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from caffe.proto import caffe_pb2

HEIGHT, WIDTH = AXES = (0, 1)
SUFFIXES = ("_h", "_w")  # of settings that are stated by axis
CONVOLVING = ("Convolution", "Deconvolution", "Im2col")
SIZED = (*CONVOLVING, "Pooling")  # layers with kernel, stride and padding
USUAL = {"stride": 1, "pad": 0, "dilation": 1}  # what need not be told
SPATIAL = 2  # the first axis of a blob that is spatial


class Window(NamedTuple):
    """What a layer reads along one axis; a kernel of 0 reads all of it (global pooling)."""

    kernel: int
    stride: int = 1
    pad: int = 0
    dilation: int = 1

    @property
    def extent(self) -> int:
        """Positions from the first that a dilated kernel reads to the last."""
        return (self.kernel - 1) * self.dilation + 1


def window(layer: Any, axis: int) -> Window:
    """The window of one of SIZED, along HEIGHT or WIDTH."""
    if layer.type == "Pooling":
        param = layer.pooling_param
        if param.global_pooling:
            return Window(0)
        return Window(
            setting(param, "kernel", [param.kernel_size], axis),
            setting(param, "stride", [param.stride], axis),
            setting(param, "pad", [param.pad], axis),
        )
    param = layer.convolution_param
    return Window(
        setting(param, "kernel", param.kernel_size, axis),
        setting(param, "stride", param.stride or [1], axis),
        setting(param, "pad", param.pad or [0], axis),
        (list(param.dilation) or [1])[min(axis, len(param.dilation) - 1)],
    )


def setting(param: Any, name: str, values: Sequence[int], axis: int) -> int:
    """A setting along an axis: stated for that axis, or in `values`, once for all axes or once for each."""
    own = name + SUFFIXES[axis]
    if param.HasField(own):
        return int(getattr(param, own))
    return int(values[min(axis, len(values) - 1)]) if values else 0


def output_length(layer: Any, size: int, axis: int) -> int:
    """The length that one of SIZED gives for a bottom of `size`; below 1 if no window fits.

    As in Caffe, convolutions divide towards zero, and pooling rounds up unless it is told to round down.
    """
    kernel, stride, pad, _ = own = window(layer, axis)
    if not kernel:
        return 1
    if layer.type == "Deconvolution":
        return stride * (size - 1) + own.extent - 2 * pad
    rest = size + 2 * pad - own.extent
    if layer.type != "Pooling":
        return int(rest / stride) + 1
    floor = layer.pooling_param.round_mode == caffe_pb2.PoolingParameter.FLOOR
    out = (rest // stride if floor else -(rest // -stride)) + 1
    return out - (pad > 0 and (out - 1) * stride >= size + pad)  # no window begins in the padding


def crop_offset(layer: Any, axis: int) -> int | None:
    """Where a Crop begins along an axis; None if it leaves the axis as it is."""
    param = layer.crop_param
    index = SPATIAL + axis - param.axis
    if index < 0:
        return None
    offsets = list(param.offset) or [0]
    return int(offsets[min(index, len(offsets) - 1)])


def text(layer: Any) -> str:
    """A layer's window as people write it: `3x3, stride 2, pad 1`; "" for a layer without one."""
    if layer.type == "Crop":
        found = [
            offset for offset in (crop_offset(layer, axis) for axis in AXES) if offset is not None
        ]
        return f"offset {by_axis(found)}"
    if layer.type not in SIZED:
        return ""
    both = [window(layer, axis) for axis in AXES]
    if not both[HEIGHT].kernel:
        return "all"
    words = [f"{both[HEIGHT].kernel}x{both[WIDTH].kernel}"]
    for name, usual in USUAL.items():
        values = [getattr(each, name) for each in both]
        if set(values) != {usual}:
            words.append(f"{name} {by_axis(values)}")
    return ", ".join(words)


def by_axis(values: Sequence[Any]) -> str:
    """Values along height and width: one if they are the same, else `HxW`."""
    shown = [f"{float(value):g}" for value in values]
    return "x".join(shown if len(set(shown)) > 1 else shown[:1])
