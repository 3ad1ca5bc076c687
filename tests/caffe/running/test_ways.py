"""Every layer under every way of running a net: each agrees with computing layer by layer, in full.

The nets are the golden ones, a layer each, and those of the tables of the forks' layers, with a
copying layer before and behind it, so that the layer's own maps may be reused, dropped and
recomputed. A layer that declares more of itself than is
true fails here, and so does a way of running that assumes more than a layer declares.
"""

import gc
import weakref

import fork_cases
import numpy as np
import pytest
import torch
from google.protobuf import text_format
from places import GOLDEN
from recorder import Recorder
from waits import Waits

import caffe
from caffe.blob import Memory
from caffe.proto import caffe_pb2
from caffe.running import cuda_graphs
from caffe.running.segments import Segments

FORKS = fork_cases.cases()
CASES = sorted(
    path.stem for path in (GOLDEN / "layers").glob("*.npz") if not path.stem.startswith("Net_")
)
CASES += sorted(FORKS)


def net_of_one_layer(name):
    """The NetParameter of a case."""
    if name in FORKS:
        return fork_cases.as_net(FORKS[name])
    text = (GOLDEN / "layers" / f"{name}.prototxt").read_text()
    return text_format.Parse(text, caffe_pb2.NetParameter())


def wrapped(name, phase):
    """The prototxt of a case's net of one layer, which reads and feeds copies."""
    net = net_of_one_layer(name)
    net.force_backward = phase == caffe.TRAIN
    layers = list(net.layer)
    sources = {top for layer in layers if not layer.bottom for top in layer.top}
    del net.layer[:]
    read = {bottom for layer in layers for bottom in layer.bottom}
    for layer in layers:
        if layer.bottom:
            for i, bottom in enumerate(layer.bottom):
                if bottom in sources:
                    layer.bottom[i] = f"copy_of_{bottom}"
                    if i < len(layer.top) and layer.top[i] == bottom:
                        layer.top[i] = layer.bottom[i]
        net.layer.add().CopyFrom(layer)
        if not layer.bottom:
            for top in sorted(read & set(layer.top)):
                net.layer.add(
                    name=f"copy {top}", type="Power", bottom=[top], top=[f"copy_of_{top}"]
                )
    for layer in layers:
        ends = layer.bottom and not layer.type.endswith("Loss")
        for top in dict.fromkeys(layer.top) if ends else ():
            if not any(top in other.bottom for other in layers if other is not layer):
                net.layer.add(name=f"end {top}", type="Power", bottom=[top], top=[f"end_of_{top}"])
    return text_format.MessageToString(net)


@pytest.fixture
def net_for(tmp_path, monkeypatch):
    """A function that builds the wrapped net of a case, filled with the case's values.

    Whatever a test does with its nets, they are freed when it ends, without the garbage collector.
    """
    monkeypatch.chdir(GOLDEN / "layers")  # a few prototxts name files there
    made = []

    def build(name, phase):
        path = tmp_path / "net.prototxt"
        path.write_text(wrapped(name, phase))
        caffe.set_random_seed(5)
        net = caffe.Net(str(path), phase)
        made.extend(weakref.ref(thing) for thing in (net, *net.layers, *net._blobs))
        if name in FORKS:
            fork_cases.fill(net, FORKS[name])
            return net
        case = np.load(f"{name}.npz")
        if "memory/data" in case:
            net.set_input_arrays(case["memory/data"], case["memory/labels"])
        for key in case.files:
            kind, _, rest = key.partition("/")
            if kind == "bottom":
                net.blobs[rest].data[...] = case[key]
            elif kind == "param":
                layer, index = rest.rsplit("/", 1)
                net.params[layer][int(index)].data[...] = case[key]
        return net

    gc.disable()
    yield build
    gc.enable()
    assert not [thing for thing in (reference() for reference in made) if thing is not None]


def check_close(found, wanted, tolerance=1e-5):
    assert found.keys() == wanted.keys()
    for name in wanted:
        a, b = found[name].astype(float), wanted[name].astype(float)
        assert a.shape == b.shape, name
        finite = np.isfinite(b)
        np.testing.assert_array_equal(np.where(finite, 0, a), np.where(finite, 0, b), name)
        size = max(np.linalg.norm(b[finite]), 1e-6)
        assert np.linalg.norm(a[finite] - b[finite]) <= tolerance * size, name


# What happens between two passes of a TEST net


def nothing(net):
    pass


def a_patch(net):
    for name in net.inputs[:1]:  # others may hold labels
        blob = net.blobs[name]
        if blob.num_axes == 4 and blob.count > 20:
            blob.data[:, :, 2:4, 1:3] *= 0.5


def a_weight(net):
    for blobs in net.params.values():
        blobs[0].data.flat[0] *= 0.5


@pytest.mark.parametrize("name", CASES)
def test_incremental_and_reuse_agree_with_layer_by_layer(name, net_for):
    nets = [net_for(name, caffe.TEST) for _ in range(3)]
    plain, _, reusing = nets
    plain._running.runs_groups = lambda: False
    reusing.reuse_memory()
    for change in (nothing, nothing, a_patch, a_weight, a_patch, nothing):
        results = []
        for net in nets:
            change(net)
            caffe.set_random_seed(7)
            results.append({key: value.copy() for key, value in net.forward().items()})
        for result in results[1:]:
            check_close(result, results[0])


def passes(net):
    """What three training passes leave: outputs, gradients, parameters, the generator's state."""
    caffe.set_random_seed(7)
    kept = []
    for _ in range(3):
        net.clear_param_diffs()
        net._forward_backward_async()
        net._raise_deferred()
        kept += [net.blobs[name].data.copy() for name in net.outputs]
        kept += [net.blobs[name].diff.copy() for name in net.inputs]
        kept += [side.copy() for blob in net.learnable_params for side in (blob.data, blob.diff)]
    return [*kept, caffe.context.generator().get_state().numpy()]


def has_gradient(net):
    """Whether a backward pass runs: some layers refuse one."""
    try:
        passes(net)
    except (ValueError, NotImplementedError):
        return False
    return True


def trained(net_for, name):
    """A TRAIN net of a case that has gradients; the outputs' diffs are set."""
    if not has_gradient(net_for(name, caffe.TRAIN)):
        pytest.skip("no gradient")
    nets = [net_for(name, caffe.TRAIN) for _ in range(2)]
    for net in nets:
        for output in net.outputs:
            if not net.blob_loss_weights[output]:
                shape = net.blobs[output].data.shape
                net.blobs[output].diff[...] = np.random.default_rng(2).standard_normal(shape)
    return nets


@pytest.mark.parametrize("name", CASES)
def test_recompute_agrees_bit_for_bit(name, net_for, monkeypatch):
    monkeypatch.setattr(
        Segments, "_plan", lambda self: [range(i, i + 1) for i in range(len(self.net.layers))]
    )
    plain, net = trained(net_for, name)
    net.recompute()
    for found, wanted in zip(passes(net), passes(plain)):
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("name", CASES)
def test_cuda_graphs_agree_bit_for_bit(name, net_for, mock_gpu, monkeypatch):
    recorder = Recorder()
    monkeypatch.setattr(cuda_graphs, "record", recorder)
    plain, net = trained(net_for, name)
    wanted = [*passes(plain), *passes(plain)]
    caffe.set_cuda_graphs(True)
    for found, value in zip([*passes(net), *passes(net)], wanted):
        np.testing.assert_array_equal(found, value)
    if net._running.cuda_graphs.possible and net._running.cuda_graphs.first < len(net.layers):
        assert recorder.launched > 0 and not net._running.cuda_graphs.failed


# What layers declare


def layer_of(net):
    return next(layer for layer in net.layers if layer.name == "l" or layer.name not in "xyz")


def attributes(layer):
    return {key: value for key, value in vars(layer).items() if isinstance(value, torch.Tensor)}


@pytest.mark.parametrize("name", CASES)
def test_a_repeatable_layer_saves_what_it_declares(name, net_for):
    net = net_for(name, caffe.TRAIN)
    before = [set(attributes(layer)) for layer in net.layers]
    net._forward(0, len(net.layers) - 1)
    for layer, known in zip(net.layers, before):
        if layer.repeatable:
            new = set(attributes(layer)) - known - {"_extremes"}
            assert new <= set(layer.saved_for_backward), layer.type


@pytest.mark.parametrize("name", CASES)
def test_only_declared_layers_change_their_parameters(name, net_for):
    net = net_for(name, caffe.TRAIN)
    before = [[blob.data.copy() for blob in layer.blobs] for layer in net.layers]
    net._forward(0, len(net.layers) - 1)
    for layer, blobs in zip(net.layers, before):
        changed = any((a.data != b).any() for a, b in zip(layer.blobs, blobs))
        assert not changed or layer.updates_parameters or layer.type == "Parameter", layer.type


@pytest.mark.parametrize("name", CASES)
def test_a_capturable_layer_never_waits_for_the_gpu(name, net_for, mock_gpu):
    net = net_for(name, caffe.TRAIN)
    net._forward(0, len(net.layers) - 1)
    for i, layer in enumerate(net.layers):
        if layer.capturable:
            bottom, top = net._topology.bottoms[i], net._topology.tops[i]
            for blob in bottom:
                blob.x  # noqa: B018  uploaded
            with Waits():
                layer.reshape(bottom, top)
                layer.forward(bottom, top)


@pytest.mark.parametrize("name", CASES)
def test_every_tensor_says_on_which_device_it_is(name, net_for, mock_gpu):
    backward = has_gradient(net_for(name, caffe.TRAIN))
    with torch.device("meta"):  # the default; there tensors have no values
        net = net_for(name, caffe.TRAIN)
        passes(net) if backward else net._forward(0, len(net.layers) - 1)


def test_a_released_blob_says_why():
    memory = Memory(3)
    memory.release("gone because")
    with pytest.raises(RuntimeError, match="gone because"):
        memory.tensor(3, torch.device("cpu"))
