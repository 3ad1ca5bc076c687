"""The benchmarks' own rules, and a run of them on a narrow net; no peer need be installed."""

import json
from argparse import Namespace

import numpy as np
import pytest
import torch

import caffe
from benchmarks import __main__ as command
from benchmarks import contest, exports, fcn8s, memory, nets, peer_onnx, peer_torch, peers
from benchmarks.contest import OURS, Contestant, LeftOut, Target

MACHINE = {"cpu": "abacus", "threads": 2, "gpu": None, "versions": {"torch": "2"}, "date": "today"}
ROWS = [
    contest.row("float32", OURS, 1.5, [2e-7], 1e-5),
    contest.row("float32", "PyTorch eager", 3.0, [0.0], 1e-5),
    contest.row("float32", "fast", 2.0, [3e-7], 1e-5),
    contest.row("float32", "wrong", 0.1, [0.5], 1e-5),
    contest.row("bf16", "fast", 1.25, [1e-2], 2e-2),
]


def record_of(rows, **more):
    common = {"title": "digging", "unit": "s", "rows": rows, "targets": [], "left_out": {}}
    return common | {"failed": contest.failures(rows), "machine": MACHINE} | more


def test_everybody_runs_every_picture_once_and_nobody_always_first():
    calls = []
    names = ("a", "b", "c")
    runners = [Contestant(n, "float32", lambda x, n=n: calls.append((n, x)) or x) for n in names]
    turns = list(contest.alternate(runners, iter(range(4))))
    assert sorted(calls) == [(name, x) for name in names for x in range(4)]
    assert [name for name, _ in calls[::3]] == ["a", "b", "c", "a"]
    for x, (seconds, results) in enumerate(turns):
        assert set(seconds) == set(runners) and set(results.values()) == {x}
        assert all(0 <= s < 1 for s in seconds.values())


def test_switches_are_set_before_every_turn():
    state = []
    on = Contestant("on", "float32", lambda _: state[-1], lambda: state.append("on"))
    off = Contestant("off", "float32", lambda _: state[-1], lambda: state.append("off"))
    for _, results in contest.alternate([on, off], range(3)):
        assert (results[on], results[off]) == ("on", "off")


def test_no_picture_is_given_twice():
    one_size = [x.tobytes() for x, _ in fcn8s.pictures(6, 9, 5)]
    many = list(fcn8s.stream(2))
    assert len(set(one_size)) == 5
    assert len({x.tobytes() for x in many}) == len(many) == 16
    assert sorted(x.shape[2:] for x in many) == sorted(fcn8s.SIZES * 2)


def test_everybody_has_the_same_weights(tmp_path):
    fcn8s.write(tmp_path, 32, 32, narrow=64)
    learning = fcn8s.solver(32, 32, narrow=64).net.params
    deployed = caffe.Net(
        *(str(tmp_path / f"fcn8s.{x}") for x in ("prototxt", "caffemodel")), caffe.TEST
    )
    model = peer_torch.read(tmp_path, torch.device("cpu")).named()
    assert list(learning) == list(deployed.params) and set(model) == set(learning)
    for name, blobs in learning.items():
        others = zip(deployed.params[name], model[name].parameters())
        for blob, (other, weight) in zip(blobs, others):
            assert np.array_equal(blob.data, other.data)
            assert np.array_equal(blob.data, weight.detach().numpy())


def test_warm_up_is_not_counted_and_the_worst_difference_is():
    right = Contestant(*contest.REFERENCE, lambda x: np.float32([3, 4]))
    off = Contestant(OURS, "float32", lambda x: np.float32([3, 4 + x]))
    rows = contest.compete([off, right], [0, 5, 1], 1, len, contest.distance)
    assert [(r["name"], r["value"], r["differs"]) for r in rows] == [
        (OURS, 2, 1.0),
        ("PyTorch eager", 2, 0.0),
    ]
    assert contest.failures(rows) == [
        "FAILED: ours float32 differs by 1.0e+00, at most 1e-05 is allowed"
    ]


def test_what_is_no_number_does_not_agree():
    off = contest.distance(np.float32([np.nan, 1]), np.float32([1, 1]))
    assert contest.failures([contest.row("float32", OURS, 1.0, [0.0, off], 1e-5)])


@pytest.mark.parametrize(
    "target, met, line",
    [
        (
            Target("float32", 0.75),
            True,
            "float32: at most 0.75 of the fastest peer: 0.750 (fast), met",
        ),
        (
            Target("float32", 0.7, ("PyTorch eager", "fast")),
            False,
            "float32: at most 0.70 of the faster of PyTorch eager and fast: 0.750 (fast), MISSED",
        ),
        (
            Target("float32", 0.6, ("PyTorch eager",)),
            True,
            "float32: at most 0.60 of PyTorch eager: 0.500 (PyTorch eager), met",
        ),
        (
            Target("float32", 0.75, ("wrong", "absent")),
            None,
            "float32: at most 0.75 of the faster of wrong and absent: "
            "not judged, without a result of wrong nor absent",
        ),
        (
            Target("bf16", 0.75),
            None,
            "bf16: at most 0.75 of the fastest peer: not judged, without a result of ours",
        ),
    ],
)
def test_targets(target, met, line):
    verdict = contest.judge(ROWS, target)
    assert (verdict["met"], verdict["line"]) == (met, line)


def test_table():
    lines = contest.table(record_of(ROWS)).splitlines()
    assert [" ".join(line.split()) for line in lines] == [
        "s ours/it differs",
        "float32 ours 1.500 2.0e-07 fastest",
        "PyTorch eager 3.000 0.50 reference",
        "fast 2.000 0.75 3.0e-07",
        "wrong FAILED 0.100 15.00 5.0e-01",
        "bf16 fast 1.250 1.0e-02 fastest",
    ]
    assert len({line.index("." + "0" * 2) for line in lines[2:4]}) == 1  # columns


@pytest.mark.parametrize("rows, code", [(ROWS[:3], 0), (ROWS, 1)])
def test_disagreement_is_the_exit_code(rows, code, monkeypatch, tmp_path, capsys):
    made = record_of(rows, targets=(Target("float32", 0.7),), left_out={"slow float32": "asleep"})
    monkeypatch.setitem(command.WORKS, "forward", lambda options, folder: made)
    monkeypatch.setattr(fcn8s, "write", lambda *args: None)
    args = ["--only", "forward", "--out", str(tmp_path)]
    assert command.main(args) == code
    told = capsys.readouterr().out
    assert "0.750 (fast), MISSED" in told and "left out: slow float32: asleep" in told
    assert ("FAILED: wrong float32 differs by 5.0e-01" in told) == bool(code)
    assert command.main([*args, "--show"]) == code
    assert "0.750 (fast), MISSED" in capsys.readouterr().out
    kept = json.loads((tmp_path / "forward-cpu.json").read_text())
    assert kept["machine"].keys() == MACHINE.keys() and kept["targets"][0]["met"] is False


def test_whoever_is_not_installed_is_left_out_with_a_line(monkeypatch):
    monkeypatch.setattr(peers, "PEERS", [peers.Peer("nobody", "float32", "no_such_module", None)])
    made, left_out = peers.build_all(None, None, torch.device("cpu"))
    assert made == []
    assert left_out == {
        "nobody float32": "no_such_module is not installed: "
        "pip install -r benchmarks/requirements.txt"
    }


def test_every_peer_is_in_the_requirements():
    listed = (fcn8s.ROOT / "benchmarks/requirements.txt").read_text()
    package = {"cv2": "opencv-python-headless<5"}
    for peer in peers.PEERS:
        if peer.module not in ("caffe", "torch"):
            assert package.get(peer.module, peer.module) in listed


def test_onnx_model_has_the_layers_of_the_net():
    onnx = pytest.importorskip("onnx", reason="the ONNX model is written with onnx")
    net = fcn8s.net(32, 32, narrow=64)
    model = peer_onnx.model(net.params)
    onnx.checker.check_model(model, full_check=True)
    kinds = {"Convolution": "Conv", "Deconvolution": "ConvTranspose", "Pooling": "MaxPool"}
    kinds |= {"ReLU": "Relu", "Crop": "Slice", "Eltwise": "Add"}
    wanted = [kinds[layer.type] for layer in net.layers if layer.type in kinds]
    sizes = [node.name for node in model.graph.node if node.name.endswith("_end")]
    nodes = [n for n in model.graph.node if n.op_type != "Shape" and n.name not in sizes]
    assert [node.op_type for node in nodes] == wanted and len(sizes) == 3
    names = set(net.layer_dict) & {node.name for node in nodes}
    assert {name for name, layer in net.layer_dict.items() if layer.blobs} <= names
    shapes = {c.name: list(c.dims) for c in model.graph.initializer}
    for name, blobs in net.params.items():
        assert shapes[f"{name}_weight"] == list(blobs[0].shape)


@pytest.mark.slow
def test_a_run_on_a_narrow_net(monkeypatch, tmp_path, capsys):
    """Everything but the peers: nets, agreement with eager PyTorch, tables, files."""
    monkeypatch.setattr(peers, "PEERS", [p for p in peers.PEERS if p.precision == "float32"][:2])
    monkeypatch.setattr(contest, "PAUSE", 0)
    works = ["files", "layers", "forward", "training", "scoring"]
    args = [text for work in works for text in ("--only", work)]
    args += ["--narrow", "64", "--size", "20", "30", "--runs", "1", "--out", str(tmp_path)]
    assert command.main(args) == 0
    told = capsys.readouterr().out
    assert [told.count(f"\n{work}: ") for work in works] == [1] * 5 and "target" not in told
    for work in works:
        record = json.loads((tmp_path / f"{work}-cpu.json").read_text())
        assert (
            record["machine"]["versions"]["torch"] == torch.__version__
        )  # with the CUDA it is built for
        for row in record["rows"] if work != "layers" else ():
            assert row["value"] > 0 and len(row["each"]) == 1
    assert 0 < json.loads((tmp_path / "scoring-cpu.json").read_text())["forward_share"] < 1
    conv = json.loads((tmp_path / "layers-cpu.json").read_text())["rows"][2]
    assert conv["layer"] == "conv1_1" and conv["gmac"] == pytest.approx(27 * 218 * 228 / 1e9)


def test_exports_of_a_narrow_net(monkeypatch, tmp_path, capsys):
    """Ours beside another's file of ONNX, in each runtime; here the one that is written node by node."""
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    monkeypatch.setattr(contest, "PAUSE", 0)

    def by_hand(folder):
        net = caffe.Net(
            *(str(folder / f"fcn8s.{x}") for x in ("prototxt", "caffemodel")), caffe.TEST
        )
        peer_onnx.write(net.params, folder / "hand.onnx")
        return folder / "hand.onnx"

    monkeypatch.setitem(exports.WRITERS, exports.BY_TORCH, by_hand)
    args = ["--only", "exports", "--narrow", "64", "--size", "20", "30", "--runs", "1"]
    assert command.main([*args, "--out", str(tmp_path)]) == 0
    rows = json.loads((tmp_path / "exports-cpu.json").read_text())["rows"]
    names = [row["name"] for row in rows if row["group"] == "ONNX Runtime"]
    assert names == [OURS, exports.BY_TORCH] and "FAILED" not in capsys.readouterr().out


def test_the_work_of_others_is_told(monkeypatch):
    clock, used = iter([100.0, 104.0]), iter([7.0, 10.0])
    monkeypatch.setattr(command.time, "perf_counter", lambda: next(clock))
    monkeypatch.setattr(command, "others", lambda: next(used))
    record = command.watched(lambda: record_of(ROWS))
    assert record["others_cores"] == 3 / 4
    assert "other processes kept 0.75 cores busy meanwhile" in contest.told(record)


def test_memory_is_that_of_a_process_of_its_own(tmp_path):
    if not memory.STATUS.exists():
        pytest.skip(f"peaks are read from {memory.STATUS}")
    fcn8s.write(tmp_path, 20, 30, 64)
    options = Namespace(device=torch.device("cpu"), narrow=64, size=(20, 30))
    result = memory.child(options, tmp_path, "forward", OURS, "float32")
    assert 0 < result["gib"] < 1


def test_a_precision_that_this_machine_lacks_is_left_out(monkeypatch):
    monkeypatch.setattr(caffe.context, "precisions", lambda where: ["float32"])
    with pytest.raises(LeftOut, match="bf16 was asked for"):
        peers.switch(OURS, "bf16")
    peers.switch(OURS, "float32")


def test_a_known_net_is_the_same_to_us_and_to_every_peer(tmp_path):
    options = Namespace(device=torch.device("cpu"), runs=1, net=["lenet"])
    record = nets.nets(options, tmp_path)
    groups = [f"lenet x{batch}" for batch in nets.BATCHES["lenet"]]
    assert [r["group"] for r in record["rows"] if r["name"] == OURS] == groups
    assert not contest.failures(record["rows"]) and list(tmp_path.iterdir()) == []
    assert [target.group for target in record["targets"]] == groups
