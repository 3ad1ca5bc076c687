"""Reads the arrays of other libraries' files, with their names: PyTorch's, NumPy's, Keras', plain HDF5.

What a file is, its content tells, not its name. Nothing in a file is run.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch

from ..files import hdf5, limits
from ..files.paths import Path, require_file

Items = list[tuple[str, np.ndarray]]

# The words of libraries for what a layer's arrays are: PyTorch, Chainer, Keras and TensorFlow
ROLES = {
    **dict.fromkeys(("weight", "W", "kernel", "weights", "gamma"), "weight"),
    **dict.fromkeys(("bias", "b", "biases", "beta"), "bias"),
    **dict.fromkeys(("running_mean", "moving_mean", "avg_mean"), "mean"),
    **dict.fromkeys(("running_var", "moving_variance", "avg_var"), "variance"),
    **dict.fromkeys(("num_batches_tracked", "N"), ""),  # no numbers of the net's
    "depthwise_kernel": "depthwise",
}
_DEPTH = 4  # of dictionaries in a checkpoint; one may hold itself
_NOT_PLAIN = re.compile(r"Unsupported (?:global|class): (?:GLOBAL )?([\w.]+)")  # of torch.load
_SHORT = re.compile(r"(.+)_(W|b|weights|biases|weight|bias|kernel)$")  # as in conv1_1_W


class Stored(NamedTuple):
    """A layer of a file: its arrays by their roles, in the file's order."""

    name: str
    arrays: dict[str, np.ndarray]

    @property
    def is_batch_norm(self) -> bool:
        """Whether the layer holds running statistics."""
        return {"mean", "variance"} <= set(self.arrays)


class Content(NamedTuple):
    """What a file holds; of channels_last nobody knows (None) where its library allows both."""

    library: str
    layers: list[Stored]
    channels_last: bool | None


def read(path: Path) -> Content:
    """The layers of a file. RuntimeError if there is none, ValueError for one that is not understood."""
    require_file(path)
    with open(path, "rb") as file:
        head = file.read(64)
    for library, is_it, reader in _KINDS:
        if is_it(path, head):
            items, last = reader(path)
            layers = _layers(items)
            if not layers:
                raise ValueError(f"{path}: no arrays in it ({library})")
            return Content(library, layers, last)
    if head.startswith(b"PK") and not zipfile.is_zipfile(path):
        raise ValueError(f"{path}: cut off: a zip file, as .pth and .npz are, without its end")
    raise ValueError(
        f"{path}: not a state_dict of PyTorch, .npz, .safetensors or HDF5; what it is: caffe inspect"
    )


def _layers(items: Iterable[tuple[str, np.ndarray]]) -> list[Stored]:
    """Arrays joined to layers, in the file's order."""
    found: dict[str, dict[str, np.ndarray]] = {}
    for key, array in items:
        layer, role = _split(key)
        if not layer:  # arrays without names: one with several axes begins a layer
            new = not found or array.ndim > 1 or "bias" in found[list(found)[-1]]
            layer, role = (key, "weight") if new else (list(found)[-1], "bias")
        if role:
            found.setdefault(layer, {})[role] = array
    return [Stored(name, arrays) for name, arrays in found.items() if arrays]


def _split(key: str) -> tuple[str, str]:
    """(layer, role) of a key; no layer for those that NumPy numbers, no role for what is skipped."""
    key = key.strip("/").removesuffix(":0")
    layer, _, word = key.replace("/", ".").rpartition(".")
    if layer and word in ROLES:
        return _without_repeat(key[: len(layer)]), ROLES[word]
    if re.fullmatch(r"arr_\d+", key):
        return "", ""
    if short := _SHORT.match(key):
        return short[1], ROLES[short[2]]
    return (_without_repeat(key[: len(layer)]), word) if layer else (key, "weight")


def _without_repeat(layer: str) -> str:
    """conv1 for conv1/conv1, as Keras writes it."""
    first, _, rest = layer.partition("/")
    return first if rest == first else layer


# ---- a reader a kind of file: its items, and whether channels come last


def _state_dict(path: Path) -> tuple[Items, bool | None]:
    try:
        if zipfile.is_zipfile(path):
            limits.zipped(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except Exception as error:  # a dozen unrelated types, by what is wrong
        wanted = _NOT_PLAIN.search(str(error))
        text = f"it holds {wanted[1]}" if wanted else str(error).partition("\n")[0]
        raise ValueError(
            f"{path}: not a state_dict of PyTorch, and nothing else in such a file is run here: {text}; "
            "save it anew with torch.save(model.state_dict(), ...)"
        ) from None
    found = _tensors(content)
    if found is None:
        raise ValueError(
            f"{path}: not a state_dict of PyTorch: {type(content).__name__} without one"
        )
    prefix = "module."  # of what trained on several GPUs
    if all(key.startswith(prefix) for key in found):
        found = {key.removeprefix(prefix): tensor for key, tensor in found.items()}
    claimed = sum(4 * tensor.numel() for tensor in found.values())  # however little is stored
    limits.require_plausible(path, claimed, f"{path}: what it holds")
    try:
        return [(key, tensor.detach().float().numpy()) for key, tensor in found.items()], False
    except (RuntimeError, TypeError, NotImplementedError) as error:
        raise ValueError(f"{path}: not plain tensors (sparse, quantized, ...): {error}") from None


def _tensors(content: Any, depth: int = 0) -> dict[str, torch.Tensor] | None:
    """The dictionary of tensors in what was saved: that itself, or an entry of a checkpoint."""
    if not isinstance(content, Mapping) or depth > _DEPTH:
        return None
    tensors = {str(k): v for k, v in content.items() if isinstance(v, torch.Tensor)}
    if tensors and len(tensors) == len(content):
        return tensors
    inner = (_tensors(value, depth + 1) for value in content.values())
    return next((found for found in inner if found), tensors or None)


def _npz(path: Path) -> tuple[Items, bool | None]:
    try:
        limits.zipped(path)
        with np.load(path, allow_pickle=False) as content:
            return [(key, content[key]) for key in content.files], None
    except MemoryError:
        raise
    except Exception as error:  # of NumPy, zipfile, zlib, and what reads the header
        raise ValueError(f"{path}: not a readable .npz file: {error}") from None


def _safetensors(path: Path) -> tuple[Items, bool | None]:
    try:
        from safetensors.torch import load_file
    except ImportError:
        raise ImportError(
            f"{path} is a .safetensors file, which needs the package: pip install safetensors"
        ) from None
    try:
        return [(key, tensor.float().numpy()) for key, tensor in load_file(path).items()], False
    except Exception as error:  # the library's own type, of no base but Exception
        raise ValueError(f"{path}: not a readable .safetensors file: {error}") from None


def _hdf5(path: Path) -> tuple[Items, bool | None]:
    try:
        with hdf5.open_file(path) as file:
            require_plausible(path, file)
            root = file.get("model_weights", file)
            if "layer_names" in root.attrs:
                return list(_keras(root)), True
            keys: list[str] = []
            root.visititems(lambda key, item: keys.append(key) if hasattr(item, "dtype") else None)
            numbered = [key for key in keys if "/vars/" in key]  # Keras 3
            items = [(key, root[key][()]) for key in sorted(numbered or keys, key=_natural)]
            return (_with_roles(items), True) if numbered else (items, None)
    except (OSError, KeyError, RuntimeError, TypeError, AttributeError, IndexError) as error:
        raise ValueError(f"{path}: damaged or foreign HDF5 file ({error})") from None


def require_plausible(path: Path, file: Any) -> None:
    """ValueError if an HDF5 file's datasets claim more than a file of its size may hold."""
    sizes: list[int] = []

    def add(key: str, item: Any) -> None:
        if hasattr(item, "dtype"):
            sizes.append(item.size * max(4, item.dtype.itemsize))

    file.visititems(add)
    limits.require_plausible(path, sum(sizes), f"{path}: what it holds")


def _keras(root: Any) -> Iterator[tuple[str, np.ndarray]]:
    """The weights of Keras 2, in the order of layers, under the layers' names."""
    for layer in map(_text, root.attrs["layer_names"]):
        for name in map(_text, root[layer].attrs["weight_names"]):
            yield f"{layer}/{name.rpartition('/')[2]}", root[layer][name][()]


def _text(name: Any) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)


def _with_roles(items: Items) -> Items:
    """Keras 3 numbers a layer's arrays: four are those of a batch normalization."""
    groups: dict[str, list[np.ndarray]] = {}
    for key, array in items:
        groups.setdefault(key.partition("/vars/")[0].rpartition("/")[2], []).append(array)
    return [
        (f"{layer}/{word}", array)
        for layer, arrays in groups.items()
        for word, array in zip(
            ("gamma", "beta", "moving_mean", "moving_variance")
            if len(arrays) == 4
            else ("kernel", "bias"),
            arrays,
        )
    ]


def _natural(key: str) -> list[Any]:
    """A key by which conv2 comes before conv10."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", key)]


def _holds(ending: str) -> Callable[[Path, bytes], bool]:
    """Whether a file is a zip with a member of such a name."""

    def holds(path: Path, head: bytes) -> bool:
        try:
            with zipfile.ZipFile(path) as content:
                return any(name.endswith(ending) for name in content.namelist())
        except (OSError, zipfile.BadZipFile):
            return False

    return holds


def _is_safetensors(path: Path, head: bytes) -> bool:
    size = int.from_bytes(head[:8], "little")
    return 2 <= size < 10**8 and head[8:9] == b"{"


_OLD_PICKLE = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19"  # of PyTorch before 1.6

_KINDS: list[tuple[str, Callable[[Path, bytes], bool], Callable[[Path], Any]]] = [
    ("PyTorch", _holds("/data.pkl"), _state_dict),
    ("PyTorch", lambda path, head: head.startswith(_OLD_PICKLE), _state_dict),
    ("NumPy", _holds(".npy"), _npz),
    ("safetensors", _is_safetensors, _safetensors),
    ("HDF5", lambda path, head: hdf5.is_hdf5(path), _hdf5),
]
