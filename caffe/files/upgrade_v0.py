"""Nets of Caffe's first format (V0) brought to the second (V1), as upgrade_proto.cpp does.

V0: `layers { layer { name: "c" type: "conv" num_output: 2 } bottom: "a" top: "c" }`.
V1: `layers { name: "c" type: CONVOLUTION bottom: "a" top: "c" convolution_param { num_output: 2 } }`.
Tables say which V0 field went where.
"""

from typing import Any

from ..glog import warning
from ..proto import caffe_pb2

V1 = caffe_pb2.V1LayerParameter

# V0 type -> V1 type, where it is another word
V0_TYPES = {
    "conv": "CONVOLUTION",
    "images": "IMAGE_DATA",
    "innerproduct": "INNER_PRODUCT",
    "pool": "POOLING",
}
# V0 types whose V1 type is the same word in capitals
V0_SAME = {
    "accuracy", "bnll", "concat", "data", "dropout", "euclidean_loss", "flatten", "hdf5_data",
    "hdf5_output", "im2col", "infogain_loss", "lrn", "multinomial_logistic_loss", "relu", "sigmoid",
    "softmax", "softmax_loss", "split", "tanh", "window_data",
}  # fmt: skip
# V0 field -> (the types it belongs to, its name in their V1 message)
V0_FIELDS = {
    "num_output": (("conv", "innerproduct"), "num_output"),
    "biasterm": (("conv", "innerproduct"), "bias_term"),
    "weight_filler": (("conv", "innerproduct"), "weight_filler"),
    "bias_filler": (("conv", "innerproduct"), "bias_filler"),
    "pad": (("conv", "pool"), "pad"),
    "kernelsize": (("conv", "pool"), "kernel_size"),
    "group": (("conv",), "group"),
    "stride": (("conv", "pool"), "stride"),
    "pool": (("pool",), "pool"),
    "dropout_ratio": (("dropout",), "dropout_ratio"),
    "local_size": (("lrn",), "local_size"),
    "alpha": (("lrn",), "alpha"),
    "beta": (("lrn",), "beta"),
    "k": (("lrn",), "k"),
    "source": (("data", "hdf5_data", "images", "window_data", "infogain_loss"), "source"),
    "batchsize": (("data", "hdf5_data", "images", "window_data"), "batch_size"),
    "rand_skip": (("data", "images"), "rand_skip"),
    "shuffle_images": (("images",), "shuffle"),
    "new_height": (("images",), "new_height"),
    "new_width": (("images",), "new_width"),
    "concat_dim": (("concat",), "concat_dim"),
    "det_fg_threshold": (("window_data",), "fg_threshold"),
    "det_bg_threshold": (("window_data",), "bg_threshold"),
    "det_fg_fraction": (("window_data",), "fg_fraction"),
    "det_context_pad": (("window_data",), "context_pad"),
    "det_crop_mode": (("window_data",), "crop_mode"),
}
V0_MESSAGES = {
    "conv": "convolution_param",
    "innerproduct": "inner_product_param",
    "pool": "pooling_param",
    "images": "image_data_param",
}  # any other type: <type>_param
# V0 field -> transform_param's, whatever the layer's type
V0_TRANSFORM = {
    "scale": "scale",
    "meanfile": "mean_file",
    "cropsize": "crop_size",
    "mirror": "mirror",
}


def upgrade_v0(param: caffe_pb2.NetParameter, name: str) -> None:
    """Bring a V0 net to V1, in place. `name` is for messages; ValueError where Caffe refuses the net."""
    old = caffe_pb2.NetParameter()
    old.CopyFrom(param)
    layers = _fold_padding(old, name)
    param.Clear()
    if old.HasField("name"):
        param.name = old.name
    for layer in layers:
        _v1_layer(layer, param.layers.add(), name)
    param.input.extend(old.input)
    param.input_dim.extend(old.input_dim)
    if old.HasField("force_backward"):
        param.force_backward = old.force_backward


def _fold_padding(param: Any, name: str) -> list[Any]:
    """V0 layers without the `padding` ones, whose pad goes to the conv or pool that reads them."""
    kept, writer = [], dict.fromkeys(param.input)
    for layer in param.layers:
        about = f"{name}: layer '{layer.layer.name}' ({layer.layer.type})"
        for j, blob in enumerate(layer.bottom):
            if blob not in writer:
                raise ValueError(f"{about}: bottom {j}: no blob '{blob}' is computed before it")
            source = writer[blob]
            if source is None or source.layer.type != "padding":
                continue
            if layer.layer.type not in ("conv", "pool"):
                raise ValueError(
                    f"{about}: reads padding layer '{source.layer.name}'; only conv, pool can"
                )
            counts = len(layer.bottom), len(source.bottom), len(source.top)
            if counts != (1, 1, 1):
                raise ValueError(
                    f"{about}: it has {counts[0]} bottoms, its padding layer '{source.layer.name}' "
                    f"{counts[1]} bottoms and {counts[2]} tops; each must be one"
                )
            padded = V1()
            padded.CopyFrom(layer)
            padded.layer.pad = source.layer.pad
            padded.bottom[j] = source.bottom[0]
            layer = padded
        if layer.layer.type != "padding":
            kept.append(layer)
        for blob in layer.top:
            writer[blob] = layer
    return kept


def _v1_layer(connection: Any, new: Any, name: str) -> None:
    """Fill `new`, a V1 layer, from a V0 layer and its connection."""
    old = connection.layer
    new.bottom.extend(connection.bottom)
    new.top.extend(connection.top)
    if old.HasField("name"):
        new.name = old.name
    if old.HasField("type"):
        if old.type not in V0_TYPES and old.type not in V0_SAME:
            raise ValueError(f"{name}: layer '{old.name}': unknown layer type '{old.type}'")
        new.type = V1.LayerType.Value(V0_TYPES.get(old.type, old.type.upper()))
    for field in ("blobs", "blobs_lr", "weight_decay"):
        getattr(new, field).extend(getattr(old, field))
    for field, renamed in V0_TRANSFORM.items():
        if old.HasField(field):
            setattr(new.transform_param, renamed, getattr(old, field))
    for field, (types, renamed) in V0_FIELDS.items():
        if not old.HasField(field):
            continue
        if old.type in types:
            message = getattr(new, V0_MESSAGES.get(old.type, f"{old.type}_param"))
            _put(message, renamed, getattr(old, field))
        else:
            _warn_dropped(name, old, field)
    if old.HasField("hdf5_output_param"):
        if old.type == "hdf5_output":
            new.hdf5_output_param.CopyFrom(old.hdf5_output_param)
        else:
            _warn_dropped(name, old, "hdf5_output_param")


def _put(message: Any, field: str, value: Any) -> None:
    """Set a scalar field, copy a message, or append to a repeated field (a convolution's stride)."""
    if hasattr(getattr(message, field), "extend"):
        getattr(message, field).append(value)
    elif hasattr(value, "CopyFrom"):
        getattr(message, field).CopyFrom(value)
    else:
        setattr(message, field, value)


def _warn_dropped(name: str, layer: Any, field: str) -> None:
    text = f"{name}: layer '{layer.name}': {field} means nothing to type {layer.type}: dropped"
    warning("upgrade_proto.cpp:30", text)


def is_complete(layer: Any) -> bool:
    """Whether a V0 layer's settings all belong to its type, so that upgrading drops none."""
    return all(
        layer.type in types or not layer.HasField(field) for field, (types, _) in V0_FIELDS.items()
    ) and (layer.type == "hdf5_output" or not layer.HasField("hdf5_output_param"))
