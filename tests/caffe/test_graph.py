"""Include/exclude rules and inserted splits, against the nets Caffe built."""

import json

import pytest
from places import GOLDEN

import caffe
from caffe.files.prototxt import parse_text
from caffe.files.read import read_net
from caffe.graph import filter_net, insert_splits
from caffe.proto import caffe_pb2

FORMATS = GOLDEN / "formats"
STATES = json.loads((FORMATS / "rules/states.json").read_text())
BUILT = json.loads((FORMATS / "splits/built.json").read_text())


def _net(text):
    return parse_text(text, caffe_pb2.NetParameter())


@pytest.mark.parametrize("state", STATES)
def test_rules(state):
    param = read_net(FORMATS / "rules/net.prototxt")
    param.state.phase = caffe_pb2.Phase.Value(state["phase"])
    param.state.level = state["level"]
    param.state.stage.extend(state["stages"])
    before = param.SerializeToString()
    kept = filter_net(param)
    assert [layer.name for layer in kept.layer] == state["layers"]
    assert param.SerializeToString() == before and kept.state == param.state


def test_both_kinds_of_rules_are_refused():
    net = _net('layer { name: "a" type: "ReLU" include { } exclude { } }')
    with pytest.raises(ValueError, match=r"layer 'a' \(ReLU\): both include and exclude"):
        filter_net(net)


@pytest.mark.parametrize("name", sorted(k for k in BUILT if "layers" in BUILT[k]))
def test_splits(name):
    split = insert_splits(filter_net(read_net(FORMATS / f"splits/{name}.prototxt")))
    want = BUILT[name]
    assert [[layer.name, layer.type] for layer in split.layer] == want["layers"]
    blobs = dict.fromkeys(top for layer in split.layer for top in layer.top)
    automatic = ["(automatic)"]  # a loss without top gets one later, when the net is built
    assert list(blobs) == [name for name, _ in want["blobs"] if name not in automatic]


def test_bottoms_of_splits_in_order_of_readers():
    net = _net("""layer { name: "d" type: "Input" top: "x" top: "y" }
        layer { name: "a" type: "Concat" bottom: "y" bottom: "y" top: "a" }
        layer { name: "b" type: "ReLU" bottom: "y" top: "y" }
        layer { name: "c" type: "TanH" bottom: "y" top: "c" }""")
    layers = insert_splits(net).layer
    assert [layer.name for layer in layers] == ["d", "y_d_1_split", "a", "b", "c"]
    names = [f"y_d_1_split_{k}" for k in range(3)]
    assert list(layers[1].top) == names
    assert list(layers[2].bottom) == names[:2] and list(layers[3].bottom) == names[2:]
    assert list(layers[4].bottom) == ["y"]  # the in-place layer's: read once


def test_loss_weight_moves_to_the_first_copy():
    net = read_net(FORMATS / "splits/loss_weight_on_used_blob.prototxt")
    ip, split, loss = insert_splits(net).layer[1:]
    assert not ip.loss_weight
    assert list(split.loss_weight) == [0.5, 0] and list(split.bottom) == ["ip"]
    assert loss.bottom[0] == "ip_ip_0_split_1"


def test_a_zero_loss_weight_is_no_reader_and_stays():
    net = _net("""layer { name: "d" type: "Input" top: "x" loss_weight: 0 }
        layer { name: "a" type: "TanH" bottom: "x" top: "a" }""")
    assert insert_splits(net) == net


def test_all_weights_go_when_one_moves():
    net = _net("""layer { name: "d" type: "Input" top: "x" top: "y" loss_weight: [2, 3] }
        layer { name: "a" type: "TanH" bottom: "x" top: "a" }""")
    first, split, _ = insert_splits(net).layer
    assert not first.loss_weight and list(split.loss_weight) == [2, 0]


@pytest.mark.parametrize(
    "bottom, says",
    [
        ("datta", r"layer 'a' \(TanH\): bottom 0: no blob 'datta' .*nearest known is 'data'"),
        ("late", "bottom 0: no blob 'late' is computed before it, only later, by layer 'b'"),
        ("??", "known: data$"),
    ],
)
def test_unknown_bottoms(bottom, says):
    net = _net(f"""layer {{ name: "d" type: "Input" top: "data" }}
        layer {{ name: "a" type: "TanH" bottom: "{bottom}" top: "a" }}
        layer {{ name: "b" type: "TanH" bottom: "data" top: "late" }}""")
    with pytest.raises(ValueError, match=says):
        insert_splits(net)


WHO = "layer 'd' \\(Input\\) makes it, and is left out of this net \\(phase TEST, level 0, {}\\) by its {}$"


@pytest.mark.parametrize(
    "rules, stages, why",
    [
        ("include { phase: TRAIN }", (), WHO.format("no stage", "include { phase: TRAIN }")),
        (
            'include { phase: TRAIN } include { stage: "deploy" }',
            ("a", "b"),
            WHO.format("stage a, b", 'include { phase: TRAIN } or include { stage: "deploy" }'),
        ),
        (
            "exclude { phase: TRAIN } exclude { phase: TEST }",
            (),
            WHO.format("no stage", "exclude { phase: TEST }"),
        ),
        ("include { min_level: 2 }", (), WHO.format("no stage", "include { min_level: 2 }")),
    ],
)
def test_a_bottom_that_was_left_out_names_its_layer_and_the_rule(rules, stages, why, tmp_path):
    path = tmp_path / "n.prototxt"
    path.write_text(
        f'layer {{ name: "d" type: "Input" top: "x" {rules} input_param {{ shape {{ dim: 1 }} }} }}'
        'layer { name: "r" type: "ReLU" bottom: "x" top: "y" }'
    )
    with pytest.raises(ValueError, match=f"layer 'r' \\(ReLU\\): bottom 0: no blob 'x' .*: {why}"):
        caffe.Net(str(path), caffe.TEST, stages=list(stages))


@pytest.mark.parametrize(
    "text, message",
    [
        ('input: "x"', "input 'x', which layer 'r' reads, has no size: state input_shape"),
        ('layer { name: "d" type: "Input" top: "x" }', "if an Input makes blob 'x', its shape"),
        ("", "no blob 'x' is computed before it; known: none, for no layer stands before"),
    ],
)
def test_an_input_without_a_size(text, message, tmp_path):
    path = tmp_path / "n.prototxt"
    path.write_text(f'{text} layer {{ name: "r" type: "Softmax" bottom: "x" top: "y" }}')
    with pytest.raises(ValueError, match=message):
        caffe.Net(str(path), caffe.TEST)
