"""Bringing nets and solvers of older formats up to date, as Caffe's upgrade_proto.cpp does.

Nets came in three formats: V0 (`layers { layer { type: "conv" } }`), V1 (`layers { type:
CONVOLUTION }`) and V2 (`layer { type: "Convolution" }`). Tables say which old field went where.
"""

import os

from caffe.glog import info, warning
from caffe.proto import caffe_pb2

V1 = caffe_pb2.V1LayerParameter
# V0 type -> V1 type, where it is not the same word in capitals
V0_TYPES = {
    "conv": "CONVOLUTION",
    "images": "IMAGE_DATA",
    "innerproduct": "INNER_PRODUCT",
    "pool": "POOLING",
}
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
TRANSFORM = ("scale", "mean_file", "crop_size", "mirror")
DATA_MESSAGES = {
    V1.DATA: "data_param",
    V1.IMAGE_DATA: "image_data_param",
    V1.WINDOW_DATA: "window_data_param",
}
# V1 type -> V2 type, where that is not its words, each with a capital, in one
V2_TYPES = {
    "NONE": "",
    "ABSVAL": "AbsVal",
    "ARGMAX": "ArgMax",
    "BNLL": "BNLL",
    "HDF5_DATA": "HDF5Data",
    "HDF5_OUTPUT": "HDF5Output",
    "LRN": "LRN",
    "MVN": "MVN",
    "RELU": "ReLU",
    "SOFTMAX_LOSS": "SoftmaxWithLoss",
    "TANH": "TanH",
}
SOLVER_TYPES = {
    "SGD": "SGD",
    "NESTEROV": "Nesterov",
    "ADAGRAD": "AdaGrad",
    "RMSPROP": "RMSProp",
    "ADADELTA": "AdaDelta",
    "ADAM": "Adam",
}


def upgrade_net(param, name="net"):
    """Bring a NetParameter of any format up to date, in place; returns it. `name` is for messages.

    ValueError where Caffe refuses the net.
    """
    if param.layers and param.layer:
        raise ValueError(
            f"{name}: both 'layer' and 'layers' (the old format) in one net; rewrite layers "
            f"'{param.layers[0].name}', ... as 'layer', or the other way round"
        )
    if any(layer.HasField("layer") for layer in param.layers):
        _upgrade_v0(param, name)
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
    _upgrade_batch_norm(param)
    return param


# -- V0 to V1 --


def _upgrade_v0(param, name):
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


def _fold_padding(param, name):
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


def _v1_layer(connection, new, name):
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
            _dropped(name, old, field)
    if old.HasField("hdf5_output_param"):
        if old.type == "hdf5_output":
            new.hdf5_output_param.CopyFrom(old.hdf5_output_param)
        else:
            _dropped(name, old, "hdf5_output_param")


def _put(message, field, value):
    """Set a field, append to a repeated one (pad, kernel_size, stride of convolutions) or copy."""
    if hasattr(getattr(message, field), "extend"):
        getattr(message, field).append(value)
    elif hasattr(value, "CopyFrom"):
        getattr(message, field).CopyFrom(value)
    else:
        setattr(message, field, value)


def _dropped(name, layer, field):
    text = f"{name}: layer '{layer.name}': {field} means nothing to type {layer.type}: dropped"
    warning("upgrade_proto.cpp:30", text)


# -- V1 to V2 --


def _has_old_transform(layer):
    message = DATA_MESSAGES.get(layer.type)
    return message is not None and any(getattr(layer, message).HasField(f) for f in TRANSFORM)


def _upgrade_transform(param):
    """Move what data layers' own messages say of transformation to transform_param."""
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


def v2_type(old):
    """V2 name of a V1 layer type (its number)."""
    name = V1.LayerType.Name(old)
    return V2_TYPES.get(name, "".join(word.capitalize() for word in name.split("_")))


def _v2_layer(old, new):
    for field in ("bottom", "top", "include", "exclude", "blobs", "loss_weight"):
        getattr(new, field).extend(getattr(old, field))
    if old.HasField("name"):
        new.name = old.name
    if old.HasField("type"):
        new.type = v2_type(old.type)
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


def _upgrade_inputs(param, name):
    """Input fields to one Input layer in front; names without any size are only dropped."""
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


def _input_dims(param, i, about):
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


def _upgrade_batch_norm(param):
    """BatchNorm's three blobs are statistics, never learned: older nets said so by three params."""
    for layer in param.layer:
        if layer.type == "BatchNorm" and len(layer.param) == 3:
            for spec in layer.param:
                spec.lr_mult = spec.decay_mult = 0


# -- solvers --


def upgrade_solver(param, name="solver"):
    """Turn the old solver_type into type, in place; returns the SolverParameter."""
    if param.HasField("solver_type"):
        if param.HasField("type"):
            raise ValueError(f'{name}: both solver_type (old) and type; keep type: "{param.type}"')
        param.type = SOLVER_TYPES[caffe_pb2.SolverParameter.SolverType.Name(param.solver_type)]
        param.ClearField("solver_type")
        info("upgrade_proto.cpp:1105", f"{name}: upgraded solver_type to type {param.type}")
    return param


def upgrade_snapshot_prefix(param, path):
    """No prefix: the solver file's path without its ending; a folder: the file's stem in it."""
    stem = os.path.splitext(path)[0]
    if not param.HasField("snapshot_prefix"):
        param.snapshot_prefix = stem
    elif os.path.isdir(param.snapshot_prefix):
        param.snapshot_prefix = os.path.join(param.snapshot_prefix, os.path.basename(stem))
    return param
