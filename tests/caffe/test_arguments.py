"""What callers pass: whole numbers of any kind, calls from before 1.0, arrays that do not fit."""

import numpy as np
import pytest
from nets import NET, SOLVER, conv, source

import caffe
from caffe.arguments import OF_A_NET, OF_CAFFE, OF_CLASSIFIER, OF_IO

TEXT = 'name: "small"\n' + source(6, 7) + conv("a", "data", 4)
EIGHT = np.zeros((1, 3, 6, 8), np.float32)


class Eleven:
    """An index that is no int."""

    def __index__(self):
        return 11


WHOLE = [11, np.int64(11), np.uint8(11), np.array(11), Eleven()]


def test_old_gpu_scripts_compute_on_the_cpu_where_the_environment_says_so(net, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    said = []
    monkeypatch.setattr("caffe.context.warning", lambda where, text: said.append(text))
    monkeypatch.setattr("caffe.context._warned", False)
    for call in (caffe.set_mode_gpu, lambda: caffe.set_device(1)):
        with pytest.raises(RuntimeError, match="CAFFE_GPU_FALLBACK=cpu in the environment lets"):
            call()
    monkeypatch.setenv("CAFFE_GPU_FALLBACK", "cpu")
    caffe.set_device(1)
    caffe.set_mode_gpu()
    caffe.set_device(0)
    assert caffe.context.device() == caffe.context.CPU
    assert net.forward(data=np.ones((1, 3, 6, 7)))["a"].shape == (1, 4, 6, 7)
    assert len(said) == 1 and said[0].startswith("GPU 1 was asked for, but PyTorch")
    assert said[0].endswith("CAFFE_GPU_FALLBACK=cpu, so the CPU computes")
    with pytest.raises(RuntimeError, match="GPU -1 was asked for"):
        caffe.set_device(-1)


@pytest.fixture
def net(net_of):
    return net_of(TEXT)


@pytest.fixture
def paths(tmp_path, net):
    net.save(str(tmp_path / "w.caffemodel"))
    return str(tmp_path / "net.prototxt"), str(tmp_path / "w.caffemodel")


def test_names_of_older_pycaffe(net):
    assert caffe.io.arraylist_to_blobprotovecor_str is caffe.io.arraylist_to_blobprotovector_str
    assert net._blob_loss_weights == [0, 0]


# ---- whole numbers


@pytest.mark.parametrize("number", WHOLE, ids=lambda number: type(number).__name__)
def test_whatever_is_an_index_is_an_int(number, net):
    net.blobs["data"].reshape(1, 3, number, number)
    assert list(net.forward()["a"].shape) == [1, 4, 11, 11]
    assert all(type(d) is int for d in net.blobs["data"].shape)
    caffe.set_random_seed(number)
    with pytest.raises(RuntimeError, match="GPU 11 was asked for"):
        caffe.set_device(number)


def test_numpy_s_integers_as_positions_phase_and_steps(net, paths, tmp_path, monkeypatch):
    one = np.int32(1)
    assert net._forward(np.int64(0), one) == 0
    assert (net._top_ids(one), net.layers[one].type) == ([1], "Convolution")
    assert caffe.Net(*paths, one).phase == caffe.Net(paths[0], one, level=one).phase == caffe.TEST
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.prototxt").write_text(NET % {"label": 1})
    (tmp_path / "solver.prototxt").write_text(SOLVER)
    solver = caffe.get_solver("solver.prototxt")
    solver.step(one)
    assert solver.iter == 1 and type(solver.iter) is int


WRONG_NUMBERS = [
    (
        lambda net: caffe.set_device("0"),
        r"caffe.set_device takes a .*got '0': caffe.set_device\(0\)",
    ),
    (lambda net: caffe.set_device(0.0), "caffe.set_device takes a whole number, got 0.0"),
    (lambda net: caffe.set_random_seed(0.5), "set_random_seed takes a whole number, got 0.5"),
    (lambda net: net.blobs["a"].reshape(1.0, 2), r"blob 'a': dimensions are .*got \(1.0, 2\)"),
    (lambda net: net.params["a"][0].reshape("3"), r"blob 'a\[0\]': dimensions are whole numbers"),
]
SEQUENCES = [[1, 3, 9, 9], (1, 3, 9, 9), np.array([1, 3, 9, 9])]


@pytest.mark.parametrize("call, said", WRONG_NUMBERS, ids=[said[:30] for _, said in WRONG_NUMBERS])
def test_what_is_no_index_is_named(call, said, net):
    with pytest.raises(TypeError, match=said):
        call(net)


@pytest.mark.parametrize("shape", SEQUENCES, ids=lambda shape: type(shape).__name__)
def test_reshape_of_a_sequence(shape, net):
    with pytest.raises(TypeError, match=r"blob 'data': .* one by one: reshape\(1, 3, 9, 9\)"):
        net.blobs["data"].reshape(shape)


def test_positions_that_there_are_not(net):
    for call in (net._forward, net._backward):
        with pytest.raises(ValueError, match="net 'small' has layers 0 to 1, got layer 9"):
            call(0, 9)


# ---- calls from before 1.0


@pytest.mark.parametrize("name", OF_A_NET)
def test_old_calls_of_a_net(name, net):
    assert not hasattr(net, name)
    with pytest.raises(AttributeError, match=f"'{name}', which is of Caffe before 1.0; today: ."):
        getattr(net, name)("data", 1)


@pytest.mark.parametrize("name", OF_CAFFE)
def test_old_names_of_caffe(name):
    with pytest.raises(AttributeError, match=f"'caffe' .*'{name}', which is of Caffe before 1.0"):
        getattr(caffe, name)


@pytest.mark.parametrize("name", OF_IO)
def test_old_names_of_io(name):
    with pytest.raises(AttributeError, match=f"'caffe.io' .*'{name}', which is of Caffe before"):
        getattr(caffe.io, name)


@pytest.mark.parametrize("name", OF_CLASSIFIER)
@pytest.mark.parametrize("kind", ["Classifier", "Detector"])
def test_old_keywords_of_classifiers(kind, name, paths):
    with pytest.raises(TypeError, match=f"caffe.{kind}: {name} is of Caffe before 1.0; today: ."):
        getattr(caffe, kind)(*paths, **{name: 1})
    with pytest.raises(TypeError, match="has no argument 'maen'; did you mean 'mean'"):
        getattr(caffe, kind)(*paths, maen=1)


def test_the_sentences_say_what_works(net, paths):
    """Today's calls, as the answers write them."""
    transformer = caffe.io.Transformer({"data": net.blobs["data"].data.shape})
    for call in ("set_mean", "set_input_scale", "set_raw_scale", "set_channel_swap", "preprocess"):
        assert hasattr(transformer, call) and f"t.{call}(" in OF_A_NET[call]
    assert caffe.Net(*paths, caffe.TEST).phase == caffe.TEST


def test_other_names_are_not_there():
    for thing in (caffe, caffe.io):
        with pytest.raises(AttributeError, match="has no attribute 'nothing'$"):
            thing.nothing  # noqa: B018


# ---- Net(...)


@pytest.mark.parametrize("phase", [caffe.TEST, "TEST", np.int64(1)])
def test_ways_to_call_net(phase, paths):
    prototxt, weights = paths
    nets = [
        caffe.Net(prototxt, weights, phase),
        caffe.Net(prototxt, weights, phase=phase),
        caffe.Net(prototxt, phase, weights=weights),
        caffe.Net(prototxt, phase, 0, None, weights),
        caffe.Net(network_file=prototxt, phase=phase, weights=weights),
    ]
    values = [net.params["a"][0].data for net in nets]
    assert values[0].any() and all((value == values[0]).all() for value in values)


@pytest.mark.parametrize(
    "arguments, named, said",
    [
        ((), {}, "no phase, which Caffe before 1.0 set later"),
        (("w.caffemodel",), {}, "no phase, which Caffe before 1.0 set later"),
        ((caffe.TEST, "w.caffemodel"), {}, "weights stand before the phase, or weights=file"),
        ((caffe.TEST,), {"wieghts": "w"}, "no argument 'wieghts'; did you mean 'weights'"),
        ((caffe.TEST,), {"phase": 1}, "too many arguments, or one twice"),
        ((1, 0, None, "w", 5), {}, "too many arguments, or one twice"),
        ((None,), {}, "phase takes a whole number, got None"),
    ],
)
def test_arguments_that_net_does_not_take(arguments, named, said, paths):
    with pytest.raises(TypeError, match=said):
        caffe.Net(paths[0], *arguments, **named)


def test_a_phase_that_there_is_not(paths):
    with pytest.raises(ValueError, match=r"caffe.TRAIN \(0\) or caffe.TEST \(1\), got 2"):
        caffe.Net(paths[0], 2)


def test_files_and_nets_in_each_other_s_place(net, paths):
    with pytest.raises(TypeError, match="takes the path of a prototxt, got NetParameter"):
        caffe.Net(caffe.to_proto(), caffe.TEST)
    with pytest.raises(TypeError, match="a file's path is wanted, got a Net"):
        net.copy_from(net)
    with pytest.raises(TypeError, match="share_with takes a net, copy_from a file"):
        net.share_with(paths[1])
    with pytest.raises(TypeError, match="set_mean takes an array, not a file: numpy.load"):
        caffe.io.Transformer({"data": (1, 3, 6, 7)}).set_mean("data", "mean.npy")


# ---- arrays and names


def test_data_and_diff_are_written_into(net):
    blob = net.blobs["data"]
    for side in ("data", "diff"):
        with pytest.raises(AttributeError, match=rf"blob 'data': .* blob.{side}\[...\] = array"):
            setattr(blob, side, np.zeros((1, 3, 6, 7)))
    blob.data[...] = 2
    blob.data *= 3
    assert (blob.data == 6).all()


@pytest.mark.parametrize("call", ["forward", "forward_all"])
def test_an_array_that_does_not_fit_names_blob_shapes_and_way_out(call, net):
    said = r"blob 'data' has shape \[1, 3, 6, 7\], got an array of shape \[1, 3, 6, 8\]"
    with pytest.raises(ValueError, match=said + r".*net.blobs\['data'\].reshape\(1, 3, 6, 8\)"):
        getattr(net, call)(data=EIGHT)
    net.blobs["data"].reshape(1, 3, 6, 8)
    getattr(net, call)(data=EIGHT)


def test_arrays_of_other_axes(net):
    with pytest.raises(ValueError, match=r"array of shape \[3, 6, 7\]; array\[numpy.newaxis\]"):
        net.forward(data=np.zeros((3, 6, 7)))
    with pytest.raises(ValueError, match=r"blob 'data' .*shape \[\]"):
        net.forward(data=np.float32(1))
    with pytest.raises(
        ValueError, match=r"blob 'a' has shape \[1, 4, 6, 7\], got .*\[1, 4, 6, 8\]"
    ):
        net.backward(a=np.zeros((1, 4, 6, 8)))
    net.forward(data=np.zeros((1, 3, 6, 7)).tolist())


def test_names_that_there_are_not_get_the_nearest(net):
    for call in (lambda: net.blobs["dat"], lambda: net.forward(blobs=["dat"])):
        with pytest.raises(
            KeyError, match="no blob 'dat' in net 'small'; the nearest known is 'data'"
        ):
            call()
    with pytest.raises(KeyError, match="no layer with parameters 'b' .*nearest known is 'a'"):
        net.params["b"].clear()
    with pytest.raises(TypeError, match=r"a list of blobs' names is wanted, \['data'\]"):
        net.forward(blobs="data")
    with pytest.raises(ValueError, match="no layer 1 in net 'small'"):
        net.forward(0, 1)
    assert "x" not in net.blobs and net.blobs.get("x") is None
