"""Superpixels, the mean of maps over them, and their scores as pixels' scores."""

import numpy as np
import pytest

import caffe
from fcn import superpixels

NET = """
layer {{ name: "numbers" type: "Input" top: "numbers"
  input_param {{ shape {{ dim: 1 dim: 1 dim: 5 dim: 7 }} }} }}
layer {{ name: "a" type: "Input" top: "a" input_param {{ shape {{ dim: 1 dim: 2 dim: 3 dim: 4 }} }} }}
layer {{ name: "b" type: "Input" top: "b" input_param {{ shape {{ dim: 1 dim: 1 dim: 3 dim: 4 }} }} }}
layer {{ name: "pool" type: "Python" bottom: "numbers" bottom: "a" bottom: "b" top: "pool"
  propagate_down: false propagate_down: true propagate_down: true
  python_param {{ module: "fcn.superpixels" layer: "SuperpixelPooling" param_str: "{params}" }} }}
layer {{ name: "score" type: "Python" bottom: "pool" bottom: "numbers" top: "score"
  propagate_down: true propagate_down: false
  python_param {{ module: "fcn.superpixels" layer: "SuperpixelScores" }} }}
force_backward: true
"""
NUMBERS = np.array(
    [
        [0, 0, 0, 1, 1, 1, 1],
        [0, 0, 0, 1, 1, 1, 1],
        [0, 2, 2, 2, 1, 1, 3],
        [2, 2, 2, 2, 1, 3, 3],
        [2, 2, 2, 2, 3, 3, 3],
    ]
)


@pytest.fixture
def net_with(tmp_path):
    def net_with(params):
        path = tmp_path / "net.prototxt"
        path.write_text(NET.format(params=params))
        net = caffe.Net(str(path), caffe.TRAIN)
        rng = np.random.RandomState(0)
        for name in "ab":
            net.blobs[name].data[...] = rng.randn(*net.blobs[name].shape)
        net.blobs["numbers"].data[0, 0] = NUMBERS
        return net

    return net_with


def enlarged(plane, scale, shift):
    """A plane at the picture's size, pixel by pixel."""
    found = np.zeros(NUMBERS.shape)
    for y, x in np.ndindex(found.shape):
        places = [(p - shift) / scale for p in (y, x)]
        places = [min(max(p, 0), n - 1) for p, n in zip(places, plane.shape)]
        for row, column in np.ndindex(plane.shape):
            near = [max(0, 1 - abs(p - c)) for p, c in zip(places, (row, column))]
            found[y, x] += near[0] * near[1] * plane[row, column]
    return found


@pytest.mark.parametrize("scale, shift", [(2, 0.5), (2, -1), (1, 0), (4, 1.5)])
def test_the_mean_of_enlarged_maps(net_with, scale, shift):
    net = net_with(str({"scale": scale, "shift": shift}))
    net.forward()
    planes = [*net.blobs["a"].data[0], *net.blobs["b"].data[0]]
    wanted = [[enlarged(p, scale, shift)[s == NUMBERS].mean() for p in planes] for s in range(4)]
    np.testing.assert_allclose(net.blobs["pool"].data, wanted, atol=1e-6)
    np.testing.assert_array_equal(net.blobs["score"].data[0, 2], net.blobs["pool"].data[NUMBERS, 2])


def test_the_mean_of_the_whole_picture(net_with):
    net = net_with("{'whole': True, 'scale': 2}")
    net.forward()
    planes = [*net.blobs["a"].data[0], *net.blobs["b"].data[0]]
    wanted = [[enlarged(p, 2, 0).mean() for p in planes]] * 4
    np.testing.assert_allclose(net.blobs["pool"].data, wanted, atol=1e-6)


@pytest.mark.parametrize("params", ["{'scale': 2, 'shift': -0.5}", "{'whole': True}"])
def test_gradients_are_those_of_numeric_differences(net_with, params):
    """Both layers are linear, so that any step will do."""
    net = net_with(params)
    net.forward()
    g = np.random.RandomState(1).randn(*net.blobs["score"].shape).astype(np.float32)
    net.blobs["score"].diff[...] = g
    net.backward()
    for name in "ab":
        data, found = net.blobs[name].data, net.blobs[name].diff.copy()
        for place in np.ndindex(data.shape):
            before, value = data[place], []
            for step in (1, -1):
                data[place] = before + step
                net.forward()
                value.append(np.vdot(net.blobs["score"].data.astype(float), g))
            data[place] = before
            assert found[place] == pytest.approx((value[0] - value[1]) / 2, abs=1e-4)


def test_other_numbers_of_superpixels_follow(net_with):
    net = net_with("{'scale': 2}")
    net.forward()
    net.blobs["numbers"].data[0, 0] = NUMBERS * (NUMBERS < 2)
    net.forward()
    assert net.blobs["pool"].data.shape == (2, 3) and net.blobs["score"].data.shape == (1, 3, 5, 7)


def layer(name, shape, params):
    python = f'module: "fcn.superpixels" layer: "{name}" param_str: "{params}"'
    return (
        f'layer {{ name: "data" type: "Input" top: "data" input_param {{ {shape} }} }} '
        f'layer {{ name: "s" type: "Python" bottom: "data" top: "s" python_param {{ {python} }} }}'
    )


def test_superpixels_follow_colours(tmp_path):
    pytest.importorskip("skimage")
    path = tmp_path / "net.prototxt"
    shape = "shape { dim: 1 dim: 3 dim: 40 dim: 60 }"
    path.write_text(layer("Superpixels", shape, "{'count': 12, 'mean': (20, 30, 40)}"))
    net = caffe.Net(str(path), caffe.TEST)
    picture = np.zeros((3, 40, 60))
    picture[:, :, 33:] = 200
    net.blobs["data"].data[0] = picture - np.array([20, 30, 40])[:, None, None]
    net.forward()
    numbers = net.blobs["s"].data[0, 0].astype(int)
    assert sorted(set(numbers.ravel())) == list(range(numbers.max() + 1)) and numbers.max() > 3
    assert not set(numbers[:, :33].ravel()) & set(numbers[:, 33:].ravel())


@pytest.mark.parametrize(
    "name, shape, params, said",
    [
        (
            "Superpixels",
            "dim: 2 dim: 3 dim: 8 dim: 8",
            "{}",
            "of one picture are needed, got shape",
        ),
        ("Superpixels", "dim: 1 dim: 3 dim: 8 dim: 8", "{'count': 0}", "count is 0"),
        (
            "Superpixels",
            "dim: 1 dim: 3 dim: 8 dim: 8",
            "{'number': 9}",
            "which this layer does not know",
        ),
    ],
)
def test_what_cannot_be_is_named(tmp_path, name, shape, params, said):
    if "picture" in said:
        pytest.importorskip("skimage")
    path = tmp_path / "net.prototxt"
    path.write_text(layer(name, f"shape {{ {shape} }}", params))
    with pytest.raises((ValueError, KeyError), match=said):
        caffe.Net(str(path), caffe.TEST)


def test_without_scikit_image_it_is_said(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "skimage.segmentation", None)
    made = superpixels.Superpixels.__new__(superpixels.Superpixels)
    made.param_str = ""
    with pytest.raises(ImportError, match="pip install scikit-image"):
        made.setup([], [])
