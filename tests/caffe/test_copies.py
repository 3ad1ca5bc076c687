"""Copies by copy and pickle: messages, blobs, nets; solvers say what to do instead."""

import copy
import pickle

import numpy as np
import pytest
from nets import NET, SOLVER, conv, layer, source

import caffe
from caffe import layers as L
from caffe.arrays import LazyArrays
from caffe.blob import Blob
from caffe.proto import caffe_pb2

WAYS = {
    "pickle": lambda thing: pickle.loads(pickle.dumps(thing)),
    "deepcopy": copy.deepcopy,
    "copy": copy.copy,
}
TEXT = (
    'name: "small"\n'
    + source(20, 22)
    + conv("a", "data", 40)
    + layer("relu", "ReLU", ["a"], "a")
    + conv("b", "a", 5, size=1, pad=0)
)


@pytest.fixture(params=WAYS)
def again(request):
    return WAYS[request.param]


# ---- messages


@pytest.mark.parametrize("name", sorted(caffe_pb2.DESCRIPTOR.message_types_by_name))
def test_every_message(name, again):
    message = getattr(caffe_pb2, name)()
    assert again(message) == message and type(again(message)) is type(message)


def test_a_net_s_message_with_what_is_in_it(again):
    n = caffe.NetSpec()
    n.data = L.Input(shape=dict(dim=[1, 3, 8, 8]))
    n.conv = L.Convolution(n.data, num_output=4, kernel_size=3)
    net = n.to_proto()
    copied = again(net)
    assert copied == net and str(copied) == str(net)
    copied.layer[1].name = "other"
    assert net.layer[1].name == "conv"
    assert again(n).to_proto() == net


# ---- blobs


def test_a_blob(again, device):
    blob = Blob((2, 3))
    blob.data[...] = [[1, 2, 3], [4, 5, 6]]
    blob.dx.fill_(7)
    copied = again(blob)
    assert list(copied.shape) == [2, 3] and (copied.diff == 7).all()
    copied.data[0, 0] = 9
    assert blob.data[0, 0] == 1 and copied.data[1, 2] == 6


def test_copying_a_blob_leaves_it_as_it_was(again, mock_gpu):
    blob = Blob((2,))
    again(blob)
    assert blob._data.newest is None  # still no memory
    blob.x.fill_(3)
    before = blob._data.version(), blob._data.newest
    again(blob)
    assert (blob._data.version(), blob._data.newest) == before


def test_a_blob_that_has_grown(again):
    blob = Blob((8,))
    blob.set_shape((2,))
    blob.x = blob.x + 1
    blob.set_shape((4,))
    np.testing.assert_array_equal(again(blob).data, [1, 1, 0, 0])


# ---- nets


def scores(net, seed=0):
    blob = net.blobs["data"]
    blob.data[...] = np.random.default_rng(seed).random(tuple(blob.shape))
    return net.forward()["b"].copy()


def test_a_net_and_its_numbers(again, net_of, device):
    net = net_of(TEXT)
    wanted = scores(net)
    copied = again(net)
    assert (copied.name, copied.phase, type(copied)) == (net.name, net.phase, caffe.Net)
    np.testing.assert_array_equal(copied.forward()["b"], wanted)  # its input is copied, too
    np.testing.assert_array_equal(scores(copied, 1), scores(net, 1))
    copied.params["b"][0].data[...] = 0
    np.testing.assert_array_equal(scores(net), wanted)


def test_a_net_that_was_reshaped(again, net_of):
    net = net_of(TEXT)
    net.blobs["data"].reshape(2, 3, 9, 10)
    wanted = scores(net)
    copied = again(net)
    assert list(copied.blobs["b"].shape) == [2, 5, 9, 10]
    np.testing.assert_array_equal(copied.forward()["b"], wanted)


def test_what_was_drawn_before_and_after_does_not_change(again, net_of):
    def draws(copies):
        caffe.set_random_seed(5)
        net = net_of(TEXT)
        for _ in range(copies):
            again(net)
        return net_of(TEXT).params["a"][0].data

    np.testing.assert_array_equal(draws(0), draws(2))


def test_a_net_s_memory_policy(again, net_of):
    net = net_of(TEXT)
    net.reuse_memory(keep=["data"])
    wanted = scores(net)
    copied = again(net)
    np.testing.assert_array_equal(scores(copied), wanted)
    with pytest.raises(RuntimeError, match="its memory was reused"):
        copied.blobs["a"].data.any()
    train = net_of(TEXT, caffe.TRAIN)
    train.recompute()
    assert type(again(train)._running.policy).__name__ == "Recompute"


def test_shared_parameters_and_a_training_net(again, net_of):
    net = net_of(NET % {"label": 1}, caffe.TRAIN)
    net.forward(), net.backward()
    copied = again(net)
    for name, blobs in net.params.items():
        for mine, theirs in zip(blobs, copied.params[name]):
            np.testing.assert_array_equal(mine.data, theirs.data)
    copied.forward(), copied.backward()
    named = 'param { name: "w" } param { name: "b" } '
    tied = TEXT + conv("c", "b", 5, size=1, pad=0) + conv("d", "c", 5, size=1, pad=0)
    net = net_of("".join(
        line.replace("convolution_param", named + "convolution_param")
        if '"c"' in line[:20] or '"d"' in line[:20] else line
        for line in tied.splitlines(keepends=True)
    ))  # fmt: skip
    copied = again(net)
    copied.params["c"][0].data[...] = 2
    assert (copied.params["d"][0].data == 2).all()


def test_subclasses_and_attributes_of_the_user_s(again, tmp_path):
    (tmp_path / "net.prototxt").write_text(TEXT.replace("20 dim: 22", "8 dim: 8"))
    caffe.Net(str(tmp_path / "net.prototxt"), caffe.TEST).save(str(tmp_path / "w.caffemodel"))
    net = caffe.Classifier(str(tmp_path / "net.prototxt"), str(tmp_path / "w.caffemodel"))
    net.note = {"by": "a user"}
    copied = again(net)
    assert type(copied) is caffe.Classifier and copied.note == net.note
    picture = np.random.default_rng(0).random((9, 9, 3))
    np.testing.assert_array_equal(copied.predict([picture]), net.predict([picture]))


def test_python_layers_are_found_again(again, tmp_path, monkeypatch):
    monkeypatch.setattr("caffe.python_modules._allowed", {str(tmp_path): None})
    (tmp_path / "doubling_layer.py").write_text(
        "import caffe\n"
        "class Double(caffe.Layer):\n"
        "    def reshape(self, bottom, top): top[0].reshape(*bottom[0].shape)\n"
        "    def forward(self, bottom, top): top[0].data[...] = 2 * bottom[0].data\n"
    )
    python = 'python_param { module: "doubling_layer" layer: "Double" }'
    (tmp_path / "net.prototxt").write_text(
        source(2, 2) + layer("b", "Python", ["data"], "b", python)
    )
    net = caffe.Net(str(tmp_path / "net.prototxt"), caffe.TEST)
    assert (again(net).forward(data=np.ones((1, 3, 2, 2)))["b"] == 2).all()


def test_arrays_that_a_gpu_pass_returned(again):
    arrays = LazyArrays(["a"], lambda: None, lambda name: np.ones(3))
    assert again(arrays)["a"].tolist() == [1, 1, 1]


# ---- solvers


def test_a_solver_says_what_to_do_instead(again, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.prototxt").write_text(NET % {"label": 1})
    (tmp_path / "solver.prototxt").write_text(SOLVER)
    solver = caffe.get_solver("solver.prototxt")
    with pytest.raises(TypeError, match=r"SGDSolvers are neither .*snapshot\(\).*restore\(file\)"):
        again(solver)
    again(solver.net)
