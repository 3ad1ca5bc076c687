"""Old formats brought up to date, against what Caffe's own upgrade made of the same files."""

import pytest
from places import GOLDEN

from caffe.files.prototxt import parse_text
from caffe.files.read import read_net, read_net_binary, read_solver
from caffe.files.upgrade import upgrade_net, upgrade_solver, v2_type
from caffe.proto import caffe_pb2

FORMATS = GOLDEN / "formats"


def _pairs():
    for upgraded in sorted(FORMATS.glob("*/*upgraded.prototxt")):
        stem = upgraded.stem.removesuffix("upgraded").rstrip("_") or "net"
        old = upgraded.with_name(f"{stem}.prototxt")
        # v1 and v0 have net.prototxt / upgraded.prototxt, the others name / name_upgraded
        yield pytest.param(old, upgraded, id=f"{old.parent.name}/{stem}")


def _net(text):
    return parse_text(text, caffe_pb2.NetParameter())


@pytest.mark.parametrize("old, upgraded", list(_pairs()))
def test_text_nets(old, upgraded):
    wanted = _net(upgraded.read_text())
    got = read_net(old)
    assert got == wanted
    assert upgrade_net(got) == wanted  # and again changes nothing


@pytest.mark.parametrize("version", ["v0", "v1", "batchnorm"])
def test_weights_with_their_values(version):
    wanted = caffe_pb2.NetParameter.FromString(
        (FORMATS / version / "upgraded.caffemodel").read_bytes()
    )
    got = read_net_binary(FORMATS / version / "net.caffemodel")
    assert sum(len(blob.data) for layer in got.layer for blob in layer.blobs) > 5
    assert got == wanted


def test_every_v1_type_has_a_v2_name():
    values = caffe_pb2.V1LayerParameter.LayerType.DESCRIPTOR.values
    names = {v2_type(value.number) for value in values if value.number < 1000}  # not the forks'
    assert len(names) == 40
    assert {"Im2col", "HDF5Data", "ReLU", "SigmoidCrossEntropyLoss", "MVN", "BNLL", ""} <= names


def test_dropped_v0_fields_are_told(monkeypatch):
    told = []
    monkeypatch.setattr("caffe.files.upgrade_v0.warning", lambda where, text: told.append(text))
    read_net(FORMATS / "v0/data_layers.prototxt")
    assert [text.split(": ")[1:3] for text in told] == [
        ["layer 'odd'", "num_output means nothing to type relu"],  # its scale stays
        ["layer 'odd'", "stride means nothing to type relu"],
    ]


def test_v0_padding_reaches_a_pool_through_an_in_place_layer():
    net = upgrade_net(
        _net("""input: "d"
        layers { layer { name: "p" type: "padding" pad: 2 } bottom: "d" top: "p" }
        layers { layer { name: "a" type: "pool" kernelsize: 3 pad: 1 } bottom: "p" top: "a" }
        layers { layer { name: "b" type: "conv" kernelsize: 3 } bottom: "a" top: "a" }
        layers { layer { name: "c" type: "conv" kernelsize: 3 } bottom: "a" top: "c" }""")
    )
    assert [layer.name for layer in net.layer] == ["a", "b", "c"]
    assert net.layer[0].pooling_param.pad == 2  # the padding layer's, not its own
    assert list(net.layer[0].bottom) == ["d"]
    assert not net.layer[2].convolution_param.pad


@pytest.mark.parametrize(
    "text, says",
    [
        ('layer { name: "a" } layers { name: "b" type: TANH }', "both 'layer' and 'layers'"),
        ('layers { layer { name: "a" type: "nope" } }', "layer 'a': unknown layer type 'nope'"),
        ('layers { layer { name: "a" type: "relu" } bottom: "x" }', "layer 'a'.*no blob 'x'"),
        (
            'input: "d" layers { layer { name: "p" type: "padding" pad: 1 } bottom: "d" top: "p" }'
            'layers { layer { name: "r" type: "relu" } bottom: "p" top: "r" }',
            "layer 'r' .relu.: reads padding layer 'p'",
        ),
        (
            'input: "d" layers { layer { name: "p" type: "padding" } bottom: "d" top: "p" }'
            'layers { layer { name: "c" type: "conv" } bottom: "p" bottom: "d" top: "c" }',
            "layer 'c' .conv.: it has 2 bottoms",
        ),
        ('input: "a" input_dim: 1 input_dim: 2 input_dim: 3', "input 'a'.*wants.*4, got 3"),
        ('input: "a" input: "b" input_shape { dim: 1 }', "input 'b'.*2 inputs but 1 input_shape"),
    ],
)
def test_what_caffe_refuses(text, says):
    with pytest.raises(ValueError, match=f"(?s)^n.prototxt: {says}"):
        upgrade_net(_net(text), "n.prototxt")


SOLVERS = ["SGD", "Nesterov", "AdaGrad", "RMSProp", "AdaDelta", "Adam"]


@pytest.mark.parametrize("number", range(6))
def test_solver_types(number):
    solver = upgrade_solver(caffe_pb2.SolverParameter(solver_type=number, net="n"))
    assert solver == caffe_pb2.SolverParameter(type=SOLVERS[number], net="n")


def test_solver_with_both_types_is_refused():
    with pytest.raises(ValueError, match="s.prototxt: both solver_type"):
        upgrade_solver(caffe_pb2.SolverParameter(solver_type=1, type="Adam"), "s.prototxt")


@pytest.mark.parametrize(
    "given, prefix",
    [("", "{}/fast"), ('snapshot_prefix: "x/y"', "x/y"), ('snapshot_prefix: "{}"', "{}/fast")],
)
def test_snapshot_prefix(given, prefix, tmp_path):
    path = tmp_path / "fast.prototxt"
    path.write_text(given.format(tmp_path))
    assert read_solver(path).snapshot_prefix == prefix.format(tmp_path)
