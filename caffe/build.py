"""Builds a net: from a NetParameter to layers, blobs, and which need backward (Net::Init, net.cpp)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from . import graph, own_layers
from .blob import Blob, BoolVec, RawBlobVec
from .files import allowed
from .glog import info, number
from .layer import OWN_TYPES, Layer, check_counts, describe, is_built_in, layer_class
from .layers import python
from .proto import caffe_pb2
from .topology import Topology
from .unknown_layers import check_types

MOST_LAYERS = 50_000
AUTOMATIC = "(automatic)"  # name of a top that the prototxt leaves out
_DEFAULT_SPEC = caffe_pb2.ParamSpec()
_PERMISSIVE = caffe_pb2.ParamSpec.PERMISSIVE


def build(param: caffe_pb2.NetParameter, folder: str | None = None) -> Topology:
    """The net of a NetParameter whose `state` is final.

    `folder` is where the prototxt lies: Python layers' modules are looked for there first, if it is allowed.
    Raises ValueError, or what a layer's setup raises, for a net that cannot be built.
    """
    with allowed.beside(folder):
        return Builder(param, folder).net


class Builder:
    """Adds one layer after the other to a Topology, then finds out which of them need backward."""

    def __init__(self, param: caffe_pb2.NetParameter, folder: str | None):
        phase = param.state.phase
        own_layers.import_modules(folder)
        whole, param = param, graph.filter_net(param)
        if len(param.layer) > MOST_LAYERS:
            beyond = describe(param.layer[MOST_LAYERS])
            raise ValueError(
                f"{beyond} is the first of {len(param.layer) - MOST_LAYERS:,} layers too many: a net has "
                f"{MOST_LAYERS:,} at most"
            )
        check_types(param.layer)
        info("net.cpp:53", f"Initializing net from parameters: \n{repr(param).rstrip()}")
        param = graph.insert_splits(param, whole)
        self.net = Topology(param.name, phase)
        self._blob_need_backward: list[bool] = []
        self._blob_ids: dict[str, int] = {}
        self._available: set[str] = set()  # names of blobs that a layer may still read
        # parameter name -> (the layer it belongs to, blob, position in learnable_params)
        self._owners: dict[str, tuple[Layer, Blob, int]] = {}
        self._values = 0  # that the tops hold so far, for the log
        for layer_param in param.layer:
            if not layer_param.HasField("phase"):
                layer_param.phase = phase
            self._add_layer(layer_param, folder)
        self._find_backward()
        if param.force_backward:
            self._force_backward()
        self.net.output_ids = [self._blob_ids[name] for name in sorted(self._available, key=_bytes)]
        for i in self.net.output_ids:
            info("net.cpp:244", f"This network produces output {self.net.blob_names[i]}")
        info("net.cpp:257", "Network initialization done.")

    # ---- layers and blobs

    def _add_layer(self, layer_param, folder):
        given = len(layer_param.propagate_down)
        if given and given != len(layer_param.bottom):
            raise ValueError(
                f"{describe(layer_param)}: propagate_down is given {given} times for "
                f"{len(layer_param.bottom)} bottoms: once per bottom, or not at all"
            )
        info("layer_factory.hpp:77", f"Creating layer {layer_param.name}")
        cls = layer_class(layer_param)
        if cls is python.Python:
            layer = cls.create(layer_param, folder)
        else:
            own = OWN_TYPES.get(layer_param.type) is cls
            layer = own_layers.create(cls, layer_param) if own else cls(layer_param)
        info("net.cpp:86", f"Creating Layer {layer_param.name}")
        bottom_ids = [self._add_bottom(layer_param, i) for i in range(len(layer_param.bottom))]
        top_ids = [self._add_top(layer_param, i) for i in range(len(layer_param.top))]
        if layer.auto_top:
            wanted = layer.num_top[0] if isinstance(layer.num_top, tuple) else layer.num_top
            while len(top_ids) < (wanted or 0):
                top_ids.append(self._new_blob(AUTOMATIC))
        self.net.layers.append(layer)
        self.net.bottom_ids.append(bottom_ids)
        self.net.top_ids.append(top_ids)
        if layer_param.type == "Input":
            self.net.input_ids += top_ids
        self._set_up(layer, bottom_ids, top_ids)
        flags = list(layer_param.propagate_down)
        self.net.bottom_need_backward.append(
            BoolVec(flags or [self._blob_need_backward[i] for i in bottom_ids])
        )
        needed = any(self._blob_need_backward[i] for i in bottom_ids)
        needed = self._add_params(layer) or needed
        self.net.layer_need_backward.append(needed)
        for i in top_ids:
            self._blob_need_backward[i] = self._blob_need_backward[i] or needed

    def _add_bottom(self, layer_param, index):
        name = layer_param.bottom[index]
        if name not in self._available:
            raise ValueError(  # insert_splits has seen to it that there is one
                f"{describe(layer_param)}: bottom {index}: blob '{name}' was used up before: Caffe "
                "inserts the splits, so this is a bug to report"
            )
        info("net.cpp:408", f"{layer_param.name} <- {name}")
        self._available.discard(name)
        return self._blob_ids[name]

    def _add_top(self, layer_param, index):
        name = layer_param.top[index]
        bottoms = layer_param.bottom
        if index < len(bottoms) and bottoms[index] == name:
            info("net.cpp:369", f"{layer_param.name} -> {name} (in-place)")
            self._available.add(name)
            return self._blob_ids[name]
        if name in self._blob_ids:
            raise ValueError(
                f"{describe(layer_param)}: top blob '{name}' is produced by another layer already; "
                "give it a name of its own (in place, top and bottom of equal index share the name)"
            )
        info("net.cpp:382", f"{layer_param.name} -> {name}")
        blob_id = self._blob_ids[name] = self._new_blob(name)
        self._available.add(name)
        return blob_id

    def _new_blob(self, name):
        self.net.blobs.append(Blob(name=name))
        self.net.blob_names.append(name)
        self.net.loss_weights.append(0.0)
        self._blob_need_backward.append(False)
        return len(self.net.blobs) - 1

    def _set_up(self, layer, bottom_ids, top_ids):
        bottom = RawBlobVec(self.net.blobs[i] for i in bottom_ids)
        top = RawBlobVec(self.net.blobs[i] for i in top_ids)
        check_counts(layer, len(bottom), len(top))
        try:
            with naming(layer):
                layer.setup(bottom, top)
                layer.reshape(bottom, top)
        except IndexError as error:
            if (bottom and top) or is_built_in(layer):
                raise
            text = f"has {len(bottom)} bottoms and {len(top)} tops here: {error}, as its class wants more"
            raise layer.error(text, IndexError) from error
        self._load_given(layer)
        self._set_loss_weights(layer, top)
        info("net.cpp:124", f"Setting up {layer.layer_param.name}")
        for i, weight in zip(top_ids, layer._loss_weights):
            self.net.loss_weights[i] = weight
            blob = self.net.blobs[i]
            self._values += blob.count
            dims = "".join(f"{d} " for d in blob.shape)
            info("net.cpp:131", f"Top shape: {dims}({blob.count})")
            if weight:
                info("net.cpp:134", f"    with loss weight {number(weight)}")
        info("net.cpp:139", f"Memory required for data: {self._values * 4}")

    @staticmethod
    def _load_given(layer):
        """Weights given in the prototxt itself."""
        given = layer.layer_param.blobs
        if given and len(given) != len(layer.blobs):
            raise layer.error(f"has {len(layer.blobs)} parameter blobs, its prototxt {len(given)}")
        for blob, proto in zip(layer.blobs, given):
            values = proto.double_data or proto.data
            if len(values) != blob.count:
                raise layer.error(
                    f"its prototxt gives {len(values)} values for a blob of shape {list(blob.shape)}"
                )
            blob.data.flat[:] = values

    @staticmethod
    def _set_loss_weights(layer, top):
        """The weight of a top stands in its diff from now on: forward and backward read it there."""
        layer_param = layer.layer_param
        if layer.default_loss_weight and not layer_param.loss_weight:
            layer_param.loss_weight.append(layer.default_loss_weight)
        weights = list(layer_param.loss_weight)
        if weights and len(weights) != len(top):
            raise layer.error(
                f"loss_weight is given {len(weights)} times for {len(top)} tops: "
                "once per top, or not at all"
            )
        layer._loss_weights = weights or [0.0] * len(top)
        for blob, weight in zip(top, layer._loss_weights):
            if weight:
                blob.dx.fill_(weight)

    # ---- parameters

    def _add_params(self, layer):
        """Enter a layer's parameters; True if one of them learns."""
        specs = list(layer.layer_param.param)
        if len(specs) > len(layer.blobs):
            raise layer.error(
                f"{len(specs)} param blocks are given, it has {len(layer.blobs)} parameters"
            )
        specs += [_DEFAULT_SPEC] * (len(layer.blobs) - len(specs))
        layer.param_propagate_down = [spec.lr_mult != 0 for spec in specs]
        for i, spec in enumerate(specs):
            layer.blobs[i]._name = f"{layer.name}[{i}]"
            if spec.name and spec.name in self._owners:
                self._share(layer, i, spec)
                continue
            if spec.name:
                self._owners[spec.name] = (layer, layer.blobs[i], len(self.net.learnable_params))
            self.net.learnable_params.append(layer.blobs[i])
            self.net.params_lr.append(spec.lr_mult if spec.HasField("lr_mult") else None)
            self.net.params_weight_decay.append(
                spec.decay_mult if spec.HasField("decay_mult") else None
            )
        return any(layer.param_propagate_down)

    def _share(self, layer, index, spec):
        owner, blob, learnable = self._owners[spec.name]
        mine = layer.blobs[index]
        same = (
            mine.count == blob.count
            if spec.share_mode == _PERMISSIVE
            else list(mine.shape) == list(blob.shape)
        )
        if not same:
            raise layer.error(
                f"cannot share param '{spec.name}' of {describe(owner.layer_param)}: shapes "
                f"{list(mine.shape)} and {list(blob.shape)}"
            )
        mine.share_data(blob)
        mine.share_diff(blob)
        self.net.shared_params.add((len(self.net.layers) - 1, index))
        for field, known in (
            ("lr_mult", self.net.params_lr),
            ("decay_mult", self.net.params_weight_decay),
        ):
            if not spec.HasField(field):
                continue
            value = getattr(spec, field)
            if known[learnable] not in (None, value):
                raise layer.error(
                    f"shared param '{spec.name}' has {field} {value:g} here and "
                    f"{known[learnable]:g} before: state it once, or equally"
                )
            known[learnable] = value

    # ---- backward

    def _find_backward(self):
        """Switch backward off where nothing above contributes to a loss."""
        under_loss, skipped = set(), set()
        for i in reversed(range(len(self.net.layers))):
            layer = self.net.layers[i]
            contributes, skip = False, True
            for top_id, weight in zip(self.net.top_ids[i], layer._loss_weights):
                contributes = (
                    contributes or bool(weight) or self.net.blob_names[top_id] in under_loss
                )
                skip = skip and self.net.blob_names[top_id] in skipped
            if skip and self.net.layer_need_backward[i]:
                self.net.layer_need_backward[i] = False
                self.net.bottom_need_backward[i] = BoolVec([False] * len(self.net.bottom_ids[i]))
            if not contributes:
                self.net.layer_need_backward[i] = False
            name = layer.layer_param.name
            if self.net.layer_need_backward[i]:
                info("net.cpp:200", f"{name} needs backward computation.")
            else:
                info("net.cpp:202", f"{name} does not need backward computation.")
            for j, bottom_id in enumerate(self.net.bottom_ids[i]):
                if contributes:
                    under_loss.add(self.net.blob_names[bottom_id])
                else:
                    self.net.bottom_need_backward[i][j] = False
                if not self.net.bottom_need_backward[i][j]:
                    skipped.add(self.net.blob_names[bottom_id])

    def _force_backward(self):
        """force_backward: every bottom that its layer allows, and every parameter."""
        for i, layer in enumerate(self.net.layers):
            self.net.layer_need_backward[i] = True
            self.net.bottom_need_backward[i] = BoolVec(
                need or layer.allow_force_backward(j)
                for j, need in enumerate(self.net.bottom_need_backward[i])
            )
            layer.param_propagate_down = [True] * len(layer.blobs)
            layer.for_gradients = True


@contextlib.contextmanager
def naming(layer: Layer) -> Iterator[None]:
    """Errors inside of the block about shapes and memory name the layer, where they do not yet."""
    try:
        yield
    except (ValueError, MemoryError) as error:
        about = describe(layer.layer_param)
        if not is_built_in(layer) or about in str(error):
            raise
        kind = MemoryError if isinstance(error, MemoryError) else ValueError
        raise kind(f"{about}: {error}") from error


def _bytes(name):
    return name.encode()
