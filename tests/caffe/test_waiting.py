"""A GPU never waits for the host to look at a value in the middle of a step.

Here the CPU plays a GPU: whatever would make the host wait for a GPU, fetching
a number or moving a blob, is an error while `Waits` watches.
"""

import numpy as np
import pytest
import torch
from devices import MOCK_GPU
from nets import NET, SOLVER
from waits import Waits

import caffe
from caffe import context
from caffe.blob import Memory


@pytest.fixture
def solver_of(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def build(more="", label=1):
        (tmp_path / "net.prototxt").write_text(NET % {"label": label})
        (tmp_path / "solver.prototxt").write_text(SOLVER + more)
        return caffe.get_solver("solver.prototxt")

    return build


def one_step(solver):
    """What `step` does between two looks at the losses."""
    solver.net.clear_param_diffs()
    solver._pending_losses.append((solver.iter, solver._forward_backward()))
    solver.apply_update()


@pytest.mark.parametrize("more", ["", "clip_gradients: 0.1", "iter_size: 2", 'type: "Adam"'])
def test_a_training_step_waits_for_nothing(more, solver_of, mock_gpu):
    solver = solver_of(more)
    solver.step(1)
    before = solver.net.params["conv"][0].x.clone()
    with Waits():
        one_step(solver)
    assert (solver.net.params["conv"][0].x != before).any()
    assert 0 < solver.smoothed_loss < 100


def test_a_testing_pass_waits_for_nothing(solver_of, mock_gpu):
    net = solver_of().test_nets[0]
    net.forward()
    with Waits():
        fetched = net.forward()
    assert fetched["loss"] == net.blobs["loss"].data
    assert set(fetched) == set(net.outputs) and len(fetched) == len(net.outputs)
    with pytest.raises(KeyError):
        fetched["conv"]


def test_the_watch_sees_who_waits(mock_gpu):
    memory = Memory(2)
    x = memory.tensor(2, MOCK_GPU)
    for wait in (
        lambda: float(x.sum()),
        lambda: x.nonzero(),
        lambda: x[x > 0],
        lambda: x.tolist(),
        lambda: memory.array(2),
    ):
        with Waits(), pytest.raises(AssertionError, match="wait|moved"):
            wait()


@pytest.mark.cuda
@pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype")
def test_cuda_waits_for_nothing(solver_of):
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device on this machine")
    caffe.set_mode_gpu()
    solver = solver_of()
    solver.step(2)
    solver.test_nets[0].forward()
    torch.cuda.set_sync_debug_mode("error")
    try:
        one_step(solver)
        solver.test_nets[0].forward()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert 0 < solver.smoothed_loss < 100


def run(solver_of, more):
    solver = solver_of(more)
    losses = []
    for count in (1, 3, 2):
        solver.step(count)
        losses.append(solver.smoothed_loss)
    return losses, {
        name: [b.data.copy() for b in blobs] for name, blobs in solver.net.params.items()
    }


@pytest.mark.parametrize(
    "more",
    ["", "clip_gradients: 0.1", "iter_size: 2", 'regularization_type: "L1"']
    + [f'type: "{rule}"' for rule in ("Nesterov", "Adam")]
    + [f'type: "{rule}" momentum: 0' for rule in ("AdaGrad", "RMSProp")]
    + ['type: "AdaDelta" momentum: 0.95 delta: 1e-4'],
)
def test_apart_trains_as_the_cpu_does(more, solver_of, monkeypatch, request):
    """Losses read late, all parameters updated at once: the same run."""
    if "momentum" in more:
        monkeypatch.setattr(f"{__name__}.SOLVER", SOLVER.replace("momentum: 0.9", ""))
    here = run(solver_of, more)
    request.getfixturevalue("mock_gpu")
    context._generators[MOCK_GPU] = context.generator(context.CPU)
    there = run(solver_of, more)
    np.testing.assert_allclose(there[0], here[0], rtol=1e-5)
    for name, arrays in here[1].items():
        for a, b in zip(arrays, there[1][name]):
            np.testing.assert_allclose(b, a, rtol=1e-4, atol=1e-6, err_msg=name)


def test_a_wrong_label_is_told_where_the_losses_are_read(solver_of, mock_gpu):
    solver = solver_of(label=3)
    with pytest.raises(
        ValueError, match=r"layer 'loss' \(SoftmaxWithLoss\): label 3 is out of range"
    ):
        solver.step(2)
    assert solver.iter == 2  # it was found late
    with pytest.raises(ValueError, match="label 3"):
        solver.net.forward()["item_loss"]


def test_clipping_is_told_apart_too(solver_of, mock_gpu, monkeypatch):
    told = []
    monkeypatch.setattr("caffe.solver.info", lambda place, text: told.append(text))
    solver_of("clip_gradients: 0.1").step(2)
    assert sum("Gradient clipping: scaling down" in text for text in told) == 2
