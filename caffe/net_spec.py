"""Writing nets in Python, as in pycaffe: `layers`, `params`, `NetSpec`, `to_proto`.

    n = NetSpec()
    n.data = layers.Input(shape=dict(dim=[1, 3, 8, 8]))
    n.conv = layers.Convolution(n.data, num_output=4, kernel_size=3)
    n.to_proto()                                                    # a NetParameter

A layer is a `Function`, each of its outputs a `Top`. A Top assigned to a NetSpec is named so; any
other gets its layer's type and a number.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from caffe import layer_functions
from caffe.names import did_you_mean
from caffe.proto import caffe_pb2


def param_name_dict() -> dict[str, str]:
    """Layer type -> its field of LayerParameter without `_param`, e.g. ReLU -> relu."""
    fields = layer_functions.PARAM_FIELDS.items()
    return {kind: name.removesuffix("_param") for kind, name in fields}


def to_proto(*tops: Top) -> caffe_pb2.NetParameter:
    """NetParameter with every layer needed to compute `tops`, all names automatic."""
    return _net(tops, {})


def _net(tops, names):
    layers, autonames = {}, Counter()
    for top in tops:
        top._to_proto(layers, names, autonames)
    net = caffe_pb2.NetParameter()
    net.layer.extend(layers.values())
    return net


def assign_proto(proto: Any, name: str, val: Any) -> None:
    """Set field `name` of a message: lists fill repeated fields, dicts fill messages.

    A single value given for a repeated field counts as a list of one. AttributeError for a field
    the message lacks, TypeError for a value that does not fit it.
    """
    field = proto.DESCRIPTOR.fields_by_name.get(name)
    if field is None:
        raise AttributeError(_no_such_field(name, [proto.DESCRIPTOR]))
    val = val.tolist() if hasattr(val, "tolist") else val  # NumPy arrays and numbers
    many = isinstance(val, (list, tuple))
    if hasattr(getattr(proto, name), "extend"):
        _assign_repeated(getattr(proto, name), val if many else [val])
    elif many:
        raise TypeError(f"{name} takes one value, got {val!r}")
    elif isinstance(val, dict):
        if field.message_type is None:
            raise TypeError(f"{name} is no message, got {val!r}")
        for key, item in val.items():
            assign_proto(getattr(proto, name), key, item)
    elif field.message_type is not None:
        if not isinstance(val, type(getattr(proto, name))):
            raise TypeError(f"{name} takes a dict of {field.message_type.name}, got {val!r}")
        getattr(proto, name).CopyFrom(val)
    else:
        setattr(proto, name, val)


def _assign_repeated(field, values):
    for value in values:
        if isinstance(value, dict):
            item = field.add()
            for key, inner in value.items():
                assign_proto(item, key, inner)
        else:
            value = value.tolist() if hasattr(value, "tolist") else value
            field.append(value)


def _no_such_field(name, descriptors):
    known = [f.name for d in descriptors for f in d.fields]
    owners = " or ".join(d.name for d in descriptors)
    return f"no field '{name}' in {owners}{did_you_mean(name, known)}"


class Top:
    """One output of a layer: number `n` of Function `fn`."""

    def __init__(self, fn, n):
        self.fn = fn
        self.n = n

    def __repr__(self) -> str:
        return f"<Top {self.n} of {self.fn.type_name}>"

    def to_proto(self) -> caffe_pb2.NetParameter:
        """NetParameter with every layer needed to compute this top."""
        return to_proto(self)

    def _update(self, params):
        self.fn._update(params)

    def _to_proto(self, layers, names, autonames):
        self.fn._to_proto(layers, names, autonames)


class Function:
    """A layer: its type, the Tops it reads, its settings by keyword.

    Keywords of its own: `ntop` (outputs, default 1), `in_place` (write over the inputs). The others
    go to the type's own message where that has the field, else (name, include, loss_weight, any
    `..._param`, ...) to the layer.
    """

    def __init__(self, type_name, inputs, params):
        for index, top in enumerate(inputs):
            if not isinstance(top, Top):
                raise TypeError(f"{type_name} input {index} is not a Top (type is {type(top)})")
        self.type_name = type_name
        self.inputs = inputs
        self.params = params
        self.ntop = params.pop("ntop", 1)
        self.in_place = params.pop("in_place", False)
        self.tops = tuple(Top(self, n) for n in range(self.ntop))

    def __repr__(self) -> str:
        return f"<{self.type_name} of {self.ntop} tops>"

    def _update(self, params):
        self.params.update(params)

    def _name(self, key, names, autonames):
        if key not in names:
            autonames[self.type_name] += 1
            names[key] = f"{self.type_name}{autonames[self.type_name]}"
        return names[key]

    def _to_proto(self, layers, names, autonames):
        if self in layers:
            return
        for top in self.inputs:
            top._to_proto(layers, names, autonames)
        layer = caffe_pb2.LayerParameter(type=self.type_name)
        layer.bottom.extend(layers[top.fn].top[top.n] for top in self.inputs)
        if self.in_place:
            layer.top.extend(layer.bottom)
        else:
            layer.top.extend(self._name(top, names, autonames) for top in self.tops)
        # A layer is called like its first top, also in place, unless it was named itself.
        own = self in names or not self.tops
        layer.name = self._name(self if own else self.tops[0], names, autonames)
        for key, value in self.params.items():
            self._assign(layer, key, value)
        layers[self] = layer

    def _assign(self, layer, key, value):
        target = layer
        if key not in layer.DESCRIPTOR.fields_by_name:
            block = layer_functions.block_of(self.type_name, key)
            if block:
                raise AttributeError(
                    f"layer '{layer.name}' ({self.type_name}): {key} stands in another block: write "
                    f"{block}=dict({key}={value!r})"
                )
        if not key.endswith("param") and self.type_name in _param_names:
            typed = f"{_param_names[self.type_name]}_param"
            descriptor = layer.DESCRIPTOR.fields_by_name[typed].message_type
            if key in descriptor.fields_by_name:
                target = getattr(layer, typed)
            elif key not in layer.DESCRIPTOR.fields_by_name:
                message = _no_such_field(key, [descriptor, layer.DESCRIPTOR])
                raise AttributeError(f"layer '{layer.name}' ({self.type_name}): {message}")
        try:
            assign_proto(target, key, value)
        except (AttributeError, TypeError, ValueError) as error:
            kind = next(k for k in (AttributeError, TypeError, ValueError) if isinstance(error, k))
            raise kind(f"layer '{layer.name}' ({self.type_name}): {key}: {error}") from None


class UnknownTop(KeyError, AttributeError):
    """A name that was not assigned: KeyError as in pycaffe, AttributeError for hasattr and copy."""

    def __str__(self):
        return self.args[0]


class NetSpec:
    """A net under construction: Tops assigned as attributes or items, which names them."""

    tops: dict[str, Any]

    def __init__(self) -> None:
        super().__setattr__("tops", {})

    def __repr__(self) -> str:
        return f"<NetSpec: {', '.join(map(str, self.tops)) or 'empty'}>"

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *map(str, self.tops)]

    def __setattr__(self, name: str, value: Any) -> None:
        self.tops[name] = value

    def __getattr__(self, name: str) -> Any:
        if name == "tops":  # not there yet while being copied
            raise AttributeError(name)
        if name not in self.tops:
            known = ", ".join(map(str, self.tops)) or "none yet"
            raise UnknownTop(f"'{name}': no such top; assigned so far: {known}")
        return self.tops[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self.tops[name] = value

    def __getitem__(self, name: str) -> Any:
        return self.__getattr__(name)

    def __delitem__(self, name: str) -> None:
        del self.tops[name]

    def keys(self) -> Iterable[str]:
        """Names, in order of assignment."""
        return list(self.tops)

    def vals(self) -> Iterable[Top]:
        """Tops (and top-less layers), in order of assignment."""
        return list(self.tops.values())

    def update(self, name: str, params: dict[str, Any]) -> None:
        """Change settings of the layer that computes top `name`."""
        self[name]._update(params)

    def to_proto(self) -> caffe_pb2.NetParameter:
        """NetParameter with every layer needed to compute the assigned tops."""
        for name, top in self.tops.items():
            if not isinstance(top, (Top, Function)):
                raise TypeError(f"'{name}' is {type(top)}, not a Top; give each top its own name")
        return _net(self.tops.values(), {top: name for name, top in self.tops.items()})


class Layers:
    """`layers.<Type>(*bottoms, **settings)`: a Top; a tuple of Tops; the Function if ntop is 0."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("_"):
            raise AttributeError(name)
        return _layer_function(name)

    def __dir__(self) -> list[str]:
        return layer_functions.names()

    def __repr__(self) -> str:
        return f"<caffe.layers: {', '.join(dir(self))}>"


@functools.cache
def _layer_function(name: str) -> Callable[..., Any]:
    """The function that makes layers of a type, known to Caffe or not."""

    def layer_fn(*args: Any, **kwargs: Any) -> Any:
        fn = Function(name, args, kwargs)
        if fn.ntop == 0:
            return fn
        return fn.tops[0] if fn.ntop == 1 else fn.tops

    layer_fn.__name__, layer_fn.__qualname__ = name, f"layers.{name}"
    layer_fn.__doc__ = layer_functions.docstring(name)
    layer_fn.__signature__ = layer_functions.signature(name)  # type: ignore[attr-defined]
    return layer_fn


class Parameters:
    """`params.<Type>.<NAME>`: an enum value of that type's message, e.g. params.Pooling.AVE."""

    def __init__(self) -> None:
        for name in caffe_pb2.DESCRIPTOR.message_types_by_name:
            if name.endswith("Parameter"):
                setattr(self, name.removesuffix("Parameter"), getattr(caffe_pb2, name))

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...

    def __dir__(self) -> list[str]:
        messages = caffe_pb2.DESCRIPTOR.message_types_by_name
        return sorted(name for name in vars(self) if messages[f"{name}Parameter"].enum_types)

    def __repr__(self) -> str:
        return f"<caffe.params: {', '.join(dir(self))}>"


_param_names = param_name_dict()
layers = Layers()
params = Parameters()
