"""Graphs of nets: every layer and blob once, edges as the net has them, in DOT and pictures."""

import re

import pytest
from google.protobuf import text_format
from places import GOLDEN, ROOT

import caffe
import caffe.draw
from caffe.__main__ import main
from caffe.proto import caffe_pb2

NET = """
name: "small"
layer { name: "data" type: "Data" top: "data" top: "label" data_param { batch_size: 7 } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" param { lr_mult: 3 }
  convolution_param { num_output: 5 kernel_size: 3 stride: 2 pad: 1 } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool"
  pooling_param { pool: AVE kernel_size: 2 stride: 4 } include { phase: TEST } }
layer { name: "loss {x}" type: "SoftmaxWithLoss" bottom: "conv" bottom: "label" top: "loss"
  exclude { phase: TEST } }
"""


def parsed(text):
    return text_format.Merge(text, caffe_pb2.NetParameter())


def test_nodes_and_edges():
    text = caffe.draw.dot(parsed(NET), "LR")
    nodes = dict(re.findall(r'^"([^"]+)" \[label="(.*?)", shape', text, re.MULTILINE))
    assert nodes == {
        "data_Data": r"data\n(Data)",
        "data_blob": "data",
        "label_blob": "label",
        "conv_Convolution": r"conv\n(Convolution)\nkernel size: 3\nstride: 2\npad: 1",
        "conv_blob": "conv",
        "relu_ReLU": r"relu\n(ReLU)",
        "pool_Pooling": r"pool\n(AVE Pooling)\nkernel size: 2\nstride: 4\npad: 0",
        "pool_blob": "pool",
        "loss {x}_SoftmaxWithLoss": r"loss \{x\}\n(SoftmaxWithLoss)",
        "loss_blob": "loss",
    }
    edges = re.findall(r'^"(.+?)" -> "(.+?)"(?: \[label="(.*)"\])?;', text, re.MULTILINE)
    assert edges == [
        ("data_Data", "data_blob", "Batch 7"),
        ("data_Data", "label_blob", "Batch 7"),
        ("data_blob", "conv_Convolution", ""),
        ("conv_Convolution", "conv_blob", "5"),
        ("conv_blob", "relu_ReLU", ""),
        ("relu_ReLU", "conv_blob", ""),
        ("conv_blob", "pool_Pooling", ""),
        ("pool_Pooling", "pool_blob", ""),
        ("conv_blob", "loss {x}_SoftmaxWithLoss", ""),
        ("label_blob", "loss {x}_SoftmaxWithLoss", ""),
        ("loss {x}_SoftmaxWithLoss", "loss_blob", ""),
    ]


def test_phase_direction_and_rates():
    test = caffe.draw.dot(parsed(NET), "BT", phase=caffe.TEST, display_lrm=True)
    assert "rankdir=BT;" in test
    assert "pool_Pooling" in test
    assert "SoftmaxWithLoss" not in test
    assert "conv (Convolution) kernel size: 3 stride: 2 pad: 1 lr mult: 3.0" in test
    train = caffe.draw.dot(parsed(NET), "LR", phase=caffe.TRAIN)
    assert "pool_Pooling" not in train
    assert "SoftmaxWithLoss" in train


def test_every_net_of_the_project_and_of_any_format_is_drawn():
    """As BVLC's own test: parsed as text, drawn without error, whatever is installed."""
    found = [*ROOT.glob("*/*.prototxt"), *(GOLDEN / "formats").glob("v*/net.prototxt")]
    nets = [path for path in found if "solver" not in path.name]
    assert len(nets) > 20
    for path in nets:
        net = parsed(path.read_text())
        picture = caffe.draw.draw_net(net, "LR")
        assert picture[:7] == b"digraph" or picture[1:4] == b"PNG"
        layers = net.layer or [layer.layer for layer in net.layers if layer.HasField("layer")]
        text = caffe.draw.dot(net, "LR")
        drawn = (layer for layer in layers or net.layers if layer.type != "padding")
        assert all(f'"{layer.name}_' in text for layer in drawn)


def test_draw_net_command(tmp_path, capfd, monkeypatch):
    monkeypatch.setenv("GLOG_minloglevel", "1")
    caffe.init_log()
    (tmp_path / "net.prototxt").write_text(NET)
    out = tmp_path / "net.dot"
    assert main(["draw_net", str(tmp_path / "net.prototxt"), str(out), "--phase", "TEST"]) == 0
    assert out.read_text() == caffe.draw.dot(parsed(NET), "LR", phase=caffe.TEST)
    monkeypatch.setattr(caffe.draw, "can_draw", lambda: False)
    capfd.readouterr()
    assert main(["draw_net", str(tmp_path / "net.prototxt"), str(tmp_path / "p.png")]) == 0
    said = capfd.readouterr()
    assert "pydot (pip install pydot) or Graphviz is not installed" in said.err
    assert f"{tmp_path / 'p.svg'} needs neither" in said.err
    assert f"Wrote {tmp_path / 'p.dot'} instead" in said.out
    assert not (tmp_path / "p.png").exists()
    assert (tmp_path / "p.dot").read_text() == caffe.draw.dot(parsed(NET))
    assert main(["draw_net", str(tmp_path / "net.prototxt"), str(tmp_path / "p.svg")]) == 0
    said = capfd.readouterr()
    assert not said.err and "instead" not in said.out
    assert (tmp_path / "p.svg").read_text() == caffe.draw.svg(parsed(NET), "LR")
    monkeypatch.undo()
    caffe.init_log()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # pydot's own
def test_pydot_graph():
    pydot = pytest.importorskip("pydot", reason="pydot is not installed")
    graph = caffe.draw.get_pydot_graph(parsed(NET), "TB", label_edges=False)
    assert isinstance(graph, pydot.Dot)
    assert len(graph.get_nodes()) == 10
    assert len(graph.get_edges()) == 11


@pytest.mark.skipif(not caffe.draw.can_draw(), reason="pydot or Graphviz is not installed")
def test_pictures(tmp_path):
    assert caffe.draw.draw_net(parsed(NET), "LR")[1:4] == b"PNG"
    caffe.draw.draw_net_to_file(parsed(NET), str(tmp_path / "net.svg"))
    assert "conv" in (tmp_path / "net.svg").read_text()
