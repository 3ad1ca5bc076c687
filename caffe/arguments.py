"""What callers pass: whole numbers of any kind, and how Caffe was called before 1.0."""

import operator
import os
from collections.abc import Mapping, Sequence
from typing import Any

from .names import did_you_mean

_PHASE = "caffe.Net(prototxt, weights, caffe.{}) states the phase"
_TRANSFORMER = "t = caffe.io.Transformer({{'data': net.blobs['data'].data.shape}}), t.{}"
_MODE = "caffe.{}, for all nets"

# Names before 1.0 -> what one writes today, for `missing`
OF_A_NET = {
    "set_phase_train": _PHASE.format("TRAIN"),
    "set_phase_test": _PHASE.format("TEST"),
    "set_mode_cpu": _MODE.format("set_mode_cpu()"),
    "set_mode_gpu": _MODE.format("set_mode_gpu()"),
    "set_device": _MODE.format("set_device(0)"),
    "set_mean": _TRANSFORMER.format("set_mean('data', array)"),
    "set_input_scale": _TRANSFORMER.format("set_input_scale('data', scale)"),
    "set_raw_scale": _TRANSFORMER.format("set_raw_scale('data', 255)"),
    "set_channel_swap": _TRANSFORMER.format("set_channel_swap('data', (2, 1, 0))"),
    "preprocess": _TRANSFORMER.format("preprocess('data', picture)"),
    "deprocess": _TRANSFORMER.format("deprocess('data', net.blobs['data'].data[0])"),
    "caffenet": "the net itself, net.blobs, net.params, net.forward()",
    "Forward": "net.forward()",
    "Backward": "net.backward()",
}
OF_CAFFE = {
    "set_phase_train": OF_A_NET["set_phase_train"],
    "set_phase_test": OF_A_NET["set_phase_test"],
    "CaffeNet": "caffe.Net(prototxt, weights, caffe.TEST)",
    "convert": "caffe.io, which has its functions",
    "imagenet": "caffe.Classifier(prototxt, weights)",
}
OF_IO = {
    "skimage": "import skimage.io: caffe.io reads pictures with Pillow",
}
OF_CLASSIFIER = {
    "gpu": "caffe.set_mode_gpu() before",
    "mean_file": "mean=numpy.load(file)",
    "input_scale_file": "input_scale=scale",
}


def whole_number(value: Any, call: str) -> int:
    """An int of any kind of whole number, NumPy's among them. TypeError, naming the call, for others."""
    try:
        return operator.index(value)
    except TypeError:
        meant = f": {call}({value})" if isinstance(value, str) and value.isdecimal() else ""
        raise TypeError(f"{call} takes a whole number, got {value!r}{meant}") from None


def missing(owner: str, name: str, today: Mapping[str, str], it: object) -> AttributeError:
    """The error for an attribute that `it` lacks, to be raised: with today's call if it is an old one."""
    text = f"{owner} has no attribute '{name}'"
    if name in today:
        text += f", which is of Caffe before 1.0; today: {today[name]}"
    return AttributeError(text, name=name, obj=it)


def refuse_keywords(
    call: str, given: Mapping[str, Any], known: tuple[str, ...], today: Mapping[str, str] = {}
) -> None:
    """Raise TypeError for keywords that a call does not have: today's, or the nearest known one."""
    for name in given:
        if name in today:
            raise TypeError(f"{call}: {name} is of Caffe before 1.0; today: {today[name]}")
        if name not in known:
            hint = did_you_mean(name, known) or f"; known: {', '.join(known)}"
            raise TypeError(f"{call} has no argument '{name}'{hint}")


_OF_NET = ("phase", "level", "stages", "weights")
_ORDERS = "caffe.Net(prototxt, caffe.TEST), caffe.Net(prototxt, weights, caffe.TEST)"


def of_net(network_file: Any, args: Sequence[Any], named: dict[str, Any]) -> dict[str, Any]:
    """What follows the file in Net(file, ...), by name; weights may stand before the phase.

    TypeError for whatever Net does not take, ValueError for a phase that there is not.
    """
    if not isinstance(network_file, (str, os.PathLike)):
        raise TypeError(
            f"caffe.Net takes the path of a prototxt, got {type(network_file).__name__}: write a "
            "message to a file as text, str(message)"
        )
    refuse_keywords("caffe.Net", named, _OF_NET)
    order: tuple[str, ...] = _OF_NET
    if args and isinstance(args[0], (str, os.PathLike)) and args[0] not in ("TRAIN", "TEST"):
        order = ("weights", *_OF_NET[:-1])
    if len(args) > len(order) or set(order[: len(args)]) & set(named):
        raise TypeError(f"caffe.Net: too many arguments, or one twice; it is called {_ORDERS}")
    found = dict(zip(order, args)) | named
    if "phase" not in found:
        raise TypeError(
            f"caffe.Net has no phase, which Caffe before 1.0 set later; state it: {_ORDERS}"
        )
    if isinstance(found.get("level"), (str, os.PathLike)):
        raise TypeError(f"caffe.Net: weights stand before the phase, or weights=file: {_ORDERS}")
    if found["phase"] not in ("TRAIN", "TEST") and whole_number(found["phase"], "phase") not in (
        0,
        1,
    ):
        raise ValueError(f"phase is caffe.TRAIN (0) or caffe.TEST (1), got {found['phase']!r}")
    return found
