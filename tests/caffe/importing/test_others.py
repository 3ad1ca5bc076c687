"""Weights of Keras, NumPy, safetensors and Caffe itself in a net."""

import h5py
import numpy as np
import pytest
from foreign import LAYERS, arrays, same, tensors

import caffe


@pytest.mark.parametrize("separator, words", [("/", "Wb"), (".", ("weight", "bias")), ("_", "Wb")])
def test_npz_by_name(nets, tmp_path, separator, words):
    net, other = nets
    stored = {
        f"{name}{separator}{word}": blob.data
        for name, blobs in net.params.items()
        for word, blob in zip(words, blobs)
    }
    np.savez(tmp_path / "net.npz", **stored)
    caffe.import_weights(other, tmp_path / "net.npz")
    same(other, arrays(net))


def test_npz_without_names(nets, tmp_path):
    net, other = nets
    np.savez(tmp_path / "net.npz", *(blob.data for blobs in net.params.values() for blob in blobs))
    caffe.import_weights(other, tmp_path / "net.npz")
    same(other, arrays(net))


def channels_last(net):
    """The weights as TensorFlow has them; behind the map of 4 x 4 cells, rows by cells."""
    found = arrays(net)
    for name in ("conv1_1", "conv1_2"):
        found[name][0] = found[name][0].transpose(2, 3, 1, 0)
    found["fc2"][0] = found["fc2"][0].reshape(6, 4, 4, 4).transpose(2, 3, 1, 0).reshape(64, 6)
    found["fc3"][0] = found["fc3"][0].T
    return found


def test_npz_with_channels_last(nets, tmp_path):
    """As vgg16_weights.npz, which many took from the net."""
    net, other = nets
    stored = {f"{n}_{w}": a for n, pair in channels_last(net).items() for w, a in zip("Wb", pair)}
    np.savez(tmp_path / "net.npz", **stored)
    report = caffe.import_weights(other, tmp_path / "net.npz")
    same(other, arrays(net))
    assert ("fc3", 0, [6, 5], [5, 6]) in report.coerced


def keras_2(path, layers, root=None):
    with h5py.File(path, "w") as file:
        root = file.create_group(root) if root else file
        root.attrs["layer_names"] = [name.encode() for name in ("input_1", *layers)]
        root.create_group("input_1").attrs["weight_names"] = np.array([], "S1")
        for name, pair in layers.items():
            keys = [f"{name}/kernel:0", f"{name}/bias:0"]
            group = root.create_group(name)
            group.attrs["weight_names"] = [key.encode() for key in keys]
            for key, array in zip(keys, pair):
                group[key] = array


def keras_3(path, layers):
    with h5py.File(path, "w") as file:
        for i, pair in enumerate(layers.values()):
            for k, array in enumerate(pair):
                file[
                    f"layers/{'conv2d' if array.ndim == 4 or i < 2 else 'dense'}_{i + 9}/vars/{k}"
                ] = array


@pytest.mark.parametrize(
    "write",
    [keras_2, lambda path, layers: keras_2(path, layers, "model_weights"), keras_3],
    ids=["weights", "model", "keras3"],
)
def test_keras(nets, tmp_path, write):
    net, other = nets
    write(tmp_path / "net.h5", channels_last(net))
    caffe.import_weights(other, tmp_path / "net.h5")
    same(other, arrays(net))


def test_plain_hdf5(nets, tmp_path):
    net, other = nets
    with h5py.File(tmp_path / "net.h5", "w") as file:
        for name, blobs in net.params.items():
            for word, blob in zip(("weight", "bias"), blobs):
                file[f"{name}/{word}"] = blob.data
    caffe.import_weights(other, tmp_path / "net.h5")
    same(other, arrays(net))


def test_safetensors(nets, tmp_path):
    save_file = pytest.importorskip("safetensors.torch").save_file
    net, other = nets
    save_file(tensors(net), tmp_path / "net.safetensors")
    caffe.import_weights(other, tmp_path / "net.safetensors")
    same(other, arrays(net))


@pytest.mark.parametrize("save", ["save", "save_hdf5"])
def test_caffes_own(nets, tmp_path, save):
    net, other = nets
    getattr(net, save)(str(tmp_path / "net.file"))
    assert caffe.import_weights(other, tmp_path / "net.file").copied == sorted(LAYERS)
    same(other, arrays(net))
