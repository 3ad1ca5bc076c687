"""A Crop without crop_param: the offset of the coordinate map, told in a line, or a warning."""

import re

import numpy as np
import pytest
from nets import conv, layer, source
from places import GOLDEN, ROOT

import caffe
from caffe.__main__ import main
from caffe.files.prototxt import parse_text
from caffe.files.read import read_net
from caffe.files.upgrade import upgrade_net
from caffe.proto import caffe_pb2

NETS = sorted(path for path in ROOT.glob("*-fcn*/*.prototxt") if path.name != "solver.prototxt")
STATED = re.compile(r"crop_param \{[^}]*\}")


@pytest.fixture
def told(monkeypatch):
    lines = []
    for module in ("upgrade_crop", "upgrade"):
        for level in ("info", "warning"):
            name = f"caffe.files.{module}.{level}"
            monkeypatch.setattr(name, lambda where, text: lines.append(text), raising=False)
    return lines


def crops(net):
    return [(c.name, c.crop_param.axis, list(c.crop_param.offset)) for c in net.layer if is_crop(c)]


def is_crop(layer):
    return layer.type == "Crop"


@pytest.mark.parametrize("path", NETS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_published_nets_get_their_offsets_back(path, told, tmp_path):
    stated = read_net(path)
    assert crops(stated) and not told
    old = tmp_path / "old.prototxt"
    old.write_text(STATED.sub("", path.read_text()))
    assert crops(read_net(old)) == crops(stated)
    (line,) = told
    assert line.startswith(f"{old}: Crop without crop_param: offset from the coordinate map")
    assert all(f"'{name}' {offset[0]}" in line for name, _, offset in crops(stated))


def test_the_scores_lie_where_they_belong(net_of):
    """A pixel of the picture shows in the score above it, 20 pixels from the padded corner."""
    body = source(30, 34, channels=1) + conv("a", "data", 1, size=3, pad=21)
    pixel = layer("pixel", "Crop", ["a", "data"], "score")
    net = net_of(body + pixel)
    net.params["a"][0].data[...] = 0
    net.params["a"][0].data[0, 0, 1, 1] = 1
    net.blobs["data"].data[0, 0, 7, 11] = 1
    score = net.forward()["score"][0, 0] - net.params["a"][1].data[0]
    assert np.argwhere(score > 0.5).tolist() == [[7, 11]]


@pytest.mark.parametrize(
    "stated", ["crop_param { offset: 0 }", "crop_param { axis: 2 }", "crop_param { }"]
)
def test_what_is_stated_stays(stated, told, tmp_path):
    net = parse_text(
        source(9, 9)
        + conv("a", "data", 1, pad=4)
        + layer("crop", "Crop", ["a", "data"], "score", stated),
        caffe_pb2.NetParameter(),
    )
    before = net.SerializeToString()
    assert upgrade_net(net).SerializeToString() == before and not told


def upgraded(text):
    return upgrade_net(parse_text(text, caffe_pb2.NetParameter()), "old")


def test_an_offset_of_zero_is_no_news(told):
    net = upgraded(
        source(9, 9) + conv("a", "data", 1) + layer("crop", "Crop", ["a", "data"], "score")
    )
    assert not net.layer[-1].HasField("crop_param") and not told


@pytest.mark.parametrize(
    "body, why",
    [
        (source(9, 9).replace("data", "a"), "are they connected by spatial layers"),
        (conv("a", "data", 1, pad=0), "cannot crop negative offset"),
        (conv("a", "data", 1, size=2, pad=3), "cannot crop noninteger offset"),
        (conv("a", "data", 1, stride=2), "scale mismatch"),
        (layer("a", "Flatten", ["data"], "a"), "are they connected by spatial layers"),
        (
            layer("a", "Convolution", ["data"], "a",
                  "convolution_param { num_output: 1 kernel_h: 3 kernel_w: 3 pad: 4 }"),
            "kernel_size",
        ),
    ],
    ids=["two pictures", "negative", "fraction", "scale", "no map", "kernel_h"],
)  # fmt: skip
def test_without_an_offset_a_warning_and_caffe_s_zero(body, why, told):
    net = upgraded(source(9, 9) + body + layer("crop", "Crop", ["a", "data"], "score"))
    assert not net.layer[-1].HasField("crop_param")
    (line,) = told
    assert line.startswith("old: layer 'crop' (Crop) has no crop_param and cuts at offset 0")
    assert why in line and "state crop_param { axis: 2 offset: ... }" in line


def test_a_bottom_that_nothing_computes_is_told_when_the_net_is_built(net_of):
    with pytest.raises(ValueError, match="'nothing'"):
        net_of(source(9, 9) + layer("crop", "Crop", ["data", "nothing"], "score"))


def test_golden_nets_are_as_they_were(told):
    for path in GOLDEN.glob("layers/*.prototxt"):
        net = parse_text(path.read_text(), caffe_pb2.NetParameter())
        if any(map(is_crop, net.layer)):
            before = crops(net)
            assert crops(upgrade_net(net)) == before, path
    assert len(told) == 1 and "'l' (Crop)" in told[0]  # Crop_default, of two pictures


def test_the_command_writes_it(tmp_path, capfd, monkeypatch):
    monkeypatch.setenv("GLOG_minloglevel", "1")
    caffe.init_log()
    stated = (ROOT / "voc-fcn8s/deploy.prototxt").read_text()
    (tmp_path / "old.prototxt").write_text(STATED.sub("", stated))
    arguments = [str(tmp_path / name) for name in ("old.prototxt", "new.prototxt")]
    assert main(["upgrade_net_proto_text", *arguments]) == 0
    assert crops(read_net(arguments[1])) == [
        ("score_pool4c", 2, [5]),
        ("score_pool3c", 2, [9]),
        ("score", 2, [31]),
    ]
    assert capfd.readouterr().err.count("Crop without crop_param") == 1  # and none for the new file
    monkeypatch.undo()
    caffe.init_log()
