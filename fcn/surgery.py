"""Net surgery: copies parameters from net to net by name, and fills the upsampling layers."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

import caffe


class Transplant(NamedTuple):
    """What `transplant` did: one line for each parameter array, as `fc6[0] (4096, 25088) -> ...`."""

    copied: list[str]
    coerced: list[str]  # same count, other shape: inner product O x I to convolution O x I x H x W
    dropped: list[str]  # no layer of that name, no such array, or another count
    untouched: list[str]  # layers of the new net that nothing was copied to

    def __str__(self) -> str:
        """The report, as it is printed."""
        lines = [f"copied {len(self.copied)} arrays: {', '.join(self.copied) or 'none'}"]
        lines += [f"coerced {line}" for line in self.coerced]
        lines += [f"dropped {line}" for line in self.dropped]
        if self.untouched:
            lines.append(f"left as they were: {', '.join(self.untouched)}")
        return "\n".join(lines)


def transplant(new_net: caffe.Net, net: caffe.Net, suffix: str = "") -> Transplant:
    """Copy every parameter of `net` to the layer of `new_net` called name + suffix.

    Arrays of the same count but another shape are copied in memory order. Prints and returns
    a report.
    """
    report = Transplant([], [], [], [])
    reached = set()
    for name, arrays in net.params.items():
        for i, old in enumerate(arrays):
            if _copy_array(new_net, name + suffix, i, old.data, f"{name}[{i}]", report):
                reached.add(name + suffix)
    report.untouched.extend(name for name in new_net.params if name not in reached)
    print(report)
    return report


def _copy_array(
    new_net: caffe.Net, target: str, i: int, old: np.ndarray, what: str, report: Transplant
) -> bool:
    """Copy one array, or add to the report why not; returns whether it was copied."""
    if target not in new_net.params:
        report.dropped.append(f"{what} {old.shape}: no layer {target!r} in the new net")
    elif i >= len(new_net.params[target]):
        count = len(new_net.params[target])
        report.dropped.append(f"{what} {old.shape}: {target!r} has {count} parameter arrays")
    else:
        new = new_net.params[target][i].data
        if new.size != old.size:
            report.dropped.append(f"{what} {old.shape} does not fit {target}[{i}] {new.shape}")
            return False
        new[...] = old.reshape(new.shape)
        if new.shape == old.shape:
            report.copied.append(what)
        else:
            report.coerced.append(f"{what} {old.shape} -> {target}[{i}] {new.shape}")
        return True
    return False


def upsample_filt(size: int) -> np.ndarray:
    """The size x size kernel that upsamples bilinearly by a factor of (size + 1) // 2."""
    factor = (size + 1) // 2
    centre = factor - 1 if size % 2 else factor - 0.5
    ramp = 1 - abs(np.arange(size) - centre) / factor
    return np.outer(ramp, ramp)


def interp(net: caffe.Net, layers: Iterable[str]) -> None:
    """Make the deconvolutions named in `layers` bilinear: the kernel on the channels' diagonal.

    ValueError if a layer changes the number of channels or its kernel is not square.
    """
    for name in layers:
        weights = net.params[name][0].data
        inputs, outputs, height, width = weights.shape
        if outputs not in (inputs, 1):
            raise ValueError(
                f"layer {name!r}: {inputs} channels in, {outputs} out: interpolation needs as many"
            )
        if height != width:
            raise ValueError(f"layer {name!r}: the kernel is {height} x {width}, not square")
        weights[range(inputs), range(outputs) if outputs > 1 else 0] = upsample_filt(height)


def expand_score(new_net: caffe.Net, new_layer: str, net: caffe.Net, layer: str) -> None:
    """Copy a score layer into one with more classes; the additional classes stay as they are."""
    for new, old in zip(new_net.params[new_layer], net.params[layer]):
        # Classes are the first axis of the weights and the only one of the bias (1x1x1xN in old nets).
        new.data.flat[: old.data.size] = old.data.flat
