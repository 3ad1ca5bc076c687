"""Nets and solvers of older formats brought to the current one, as Caffe's upgrade_proto.cpp does.

Nets came in three formats: V0 (`layers { layer { type: "conv" } }`), V1 (`layers { type:
CONVOLUTION }`) and V2 (`layer { type: "Convolution" }`), the current one.
"""

import os
from collections.abc import Sequence
from typing import Any

from ..glog import info
from ..proto import caffe_pb2
from .prototxt import set_string
from .spelling import respell_net, v2_name, v2_type
from .upgrade_crop import upgrade_crops
from .upgrade_v0 import upgrade_v0

V1 = caffe_pb2.V1LayerParameter
TRANSFORM = ("scale", "mean_file", "crop_size", "mirror")
DATA_MESSAGES = {
    V1.DATA: "data_param",
    V1.IMAGE_DATA: "image_data_param",
    V1.WINDOW_DATA: "window_data_param",
}
SOLVER_TYPES = {
    "SGD": "SGD",
    "NESTEROV": "Nesterov",
    "ADAGRAD": "AdaGrad",
    "RMSPROP": "RMSProp",
    "ADADELTA": "AdaDelta",
    "ADAM": "Adam",
}


def upgrade_net(param: caffe_pb2.NetParameter, name: str = "net") -> caffe_pb2.NetParameter:
    """Bring a NetParameter of any format to the current one, in place; returns it.

    `name` is for messages. ValueError where Caffe refuses the net.
    """
    if param.layers and param.layer:
        raise ValueError(
            f"{name}: both 'layer' and 'layers' (the old format) in one net; rewrite layers "
            f"'{param.layers[0].name}', ... as 'layer', or the other way round"
        )
    try:
        _upgrade(param, name)
    except UnicodeDecodeError as error:  # protobuf reads such names, but does not copy them
        raise ValueError(
            f"{name}: {error.object!r} is not UTF-8 text; a net of an old format with such a name "
            "cannot be upgraded"
        ) from error
    return param


def _upgrade(param: caffe_pb2.NetParameter, name: str) -> None:
    if any(layer.HasField("layer") for layer in param.layers):
        upgrade_v0(param, name)
        info("upgrade_proto.cpp:23", f"{name}: upgraded from V0LayerParameter")
    if any(_has_old_transform(layer) for layer in param.layers):
        _upgrade_transform(param)
        info("upgrade_proto.cpp:44", f"{name}: upgraded data transformation fields")
    if param.layers:
        for old in param.layers:
            _v2_layer(old, param.layer.add())
        del param.layers[:]
        info("upgrade_proto.cpp:53", f"{name}: upgraded from V1LayerParameter")
    if param.input:
        _upgrade_inputs(param, name)
        info("upgrade_proto.cpp:66", f"{name}: upgraded input fields to an Input layer")
    respell_net(param, name)
    _upgrade_batch_norm(param)
    upgrade_crops(param, name)


# -- V1 to V2 --


def _has_old_transform(layer: Any) -> bool:
    """Whether a data layer states a transformation in its own message, not in transform_param."""
    message = DATA_MESSAGES.get(layer.type)
    return message is not None and any(getattr(layer, message).HasField(f) for f in TRANSFORM)


def _upgrade_transform(param: Any) -> None:
    """Move transformations from data layers' own messages to transform_param."""
    for layer in param.layers:
        if layer.type not in DATA_MESSAGES:
            continue
        message = getattr(layer, DATA_MESSAGES[layer.type])
        message.SetInParent()
        layer.transform_param.SetInParent()
        for field in TRANSFORM:
            if message.HasField(field):
                setattr(layer.transform_param, field, getattr(message, field))
                message.ClearField(field)


def _v2_layer(old: Any, new: Any) -> None:
    """Fill `new`, a V2 layer, from a V1 layer."""
    for field in ("bottom", "top", "include", "exclude", "blobs", "loss_weight"):
        getattr(new, field).extend(getattr(old, field))
    if old.HasField("name"):
        new.name = old.name
    if old.HasField("type"):
        new.type = v2_type(old.type)
    elif old.HasField("other_type"):
        new.type = v2_name(old.other_type)
    new.unread.extend(old.unread)
    new.unread_text.extend(old.unread_text)
    lists = {"name": old.param, "share_mode": old.blob_share_mode}
    lists |= {"lr_mult": old.blobs_lr, "decay_mult": old.weight_decay}
    for field, values in lists.items():
        for i, value in enumerate(values):
            if i == len(new.param):
                new.param.add()
            setattr(new.param[i], field, value)
    for field, value in old.ListFields():
        if field.name.endswith("_param"):
            getattr(new, field.name).CopyFrom(value)


# -- within V2 --


def _upgrade_inputs(param: Any, name: str) -> None:
    """Turn input fields into one Input layer in front; input names without sizes are dropped."""
    if param.input_shape or param.input_dim:
        layer = caffe_pb2.LayerParameter(name="input", type="Input", top=param.input)
        for i, blob in enumerate(param.input):
            layer.input_param.shape.add().dim.extend(
                _input_dims(param, i, f"{name}: input '{blob}'")
            )
        rest = [layer, *param.layer]
        kept = caffe_pb2.NetParameter(layer=rest)
        del param.layer[:]
        param.layer.extend(kept.layer)
    for field in ("input", "input_shape", "input_dim"):
        param.ClearField(field)


def _input_dims(param: Any, i: int, about: str) -> Sequence[int]:
    """The shape of input i, from input_shape or else input_dim."""
    count = len(param.input)
    if param.input_shape:
        if i >= len(param.input_shape):
            raise ValueError(f"{about}: {count} inputs but {len(param.input_shape)} input_shape")
        return param.input_shape[i].dim
    dims = param.input_dim[4 * i : 4 * i + 4]
    if len(dims) < 4:
        total = len(param.input_dim)
        raise ValueError(
            f"{about}: input_dim wants four numbers an input: {4 * count}, got {total}"
        )
    return dims


def _upgrade_batch_norm(param: Any) -> None:
    """Set the multipliers of BatchNorm's three blobs to 0: they are statistics, never learned."""
    for layer in param.layer:
        if layer.type == "BatchNorm" and len(layer.param) == 3:
            for spec in layer.param:
                spec.lr_mult = spec.decay_mult = 0


# -- solvers --


def upgrade_solver(
    param: caffe_pb2.SolverParameter, name: str = "solver"
) -> caffe_pb2.SolverParameter:
    """Turn the old solver_type into type, in place; returns the SolverParameter.

    `name` is for messages. ValueError if it states both.
    """
    if param.HasField("solver_type"):
        if param.HasField("type"):
            raise ValueError(f'{name}: both solver_type (old) and type; keep type: "{param.type}"')
        param.type = SOLVER_TYPES[caffe_pb2.SolverParameter.SolverType.Name(param.solver_type)]
        param.ClearField("solver_type")
        info("upgrade_proto.cpp:1105", f"{name}: upgraded solver_type to type {param.type}")
    return param


def upgrade_snapshot_prefix(
    param: caffe_pb2.SolverParameter, path: str
) -> caffe_pb2.SolverParameter:
    """Fill in snapshot_prefix, in place, from the path of the solver's file; returns the message.

    Without a prefix it is that path less its ending; a folder is joined with the file's stem.
    """
    prefix, stem = os.fsdecode(param.snapshot_prefix), os.path.splitext(path)[0]
    field = param.DESCRIPTOR.fields_by_name["snapshot_prefix"]
    if not param.HasField("snapshot_prefix"):
        set_string(param, field, stem)
    elif os.path.isdir(prefix):
        set_string(param, field, os.path.join(prefix, os.path.basename(stem)))
    return param
