"""SVGs of nets: what is in them, that texts fit their boxes, that nothing else is needed."""

import itertools
import re
import xml.etree.ElementTree as ElementTree

import pytest
from browser import CHROMIUM, Browser
from google.protobuf import text_format
from nets import conv, layer, source
from places import GOLDEN, ROOT

import caffe
from caffe import layers as L
from caffe.files.read import read_net
from caffe.proto import caffe_pb2
from examples.zoo import googlenet, resnet, small

SVG = "{http://www.w3.org/2000/svg}"
PUBLISHED = [
    path for path in sorted(ROOT.glob("*-fcn*/*.prototxt")) if path.name != "solver.prototxt"
]
ZOO = {
    "googlenet": lambda n: googlenet.googlenet(n, 1000),
    "resnet": lambda n: resnet.resnet50(n, 1000),
    "lenet": lambda n: small.lenet(n, 10),
}
SMALL = """
name: "a <small> net"
layer { name: "data" type: "Data" top: "data" top: "label" data_param { batch_size: 7 } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" param { lr_mult: 3 }
  convolution_param { num_output: 5 kernel_size: 3 stride: 2 pad: 1 } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool" include { phase: TEST }
  pooling_param { pool: AVE kernel_h: 2 kernel_w: 3 } }
layer { name: "late" type: "Dropout" bottom: "conv" top: "conv" }
layer { name: "ip" type: "InnerProduct" bottom: "conv" top: "ip" inner_product_param { num_output: 9 } }
layer { name: "crop" type: "Crop" bottom: "ip" bottom: "data" top: "crop" crop_param { offset: 4 } }
layer { name: "sum" type: "Eltwise" bottom: "crop" bottom: "crop" top: "sum" }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "sum" bottom: "label" top: "loss"
  exclude { phase: TEST } }
"""


def zoo(name):
    n = caffe.NetSpec()
    n.data = L.Input(shape=dict(dim=[1, 3, 224, 224]))
    n.label = L.Input(shape=dict(dim=[1]))
    ZOO[name](n)
    return n.to_proto()


def parsed(text):
    return text_format.Merge(text, caffe_pb2.NetParameter())


NETS = [
    *(
        pytest.param(lambda path=path: read_net(path), id=path.parent.name)
        for path in PUBLISHED[::2]
    ),
    *(pytest.param(lambda name=name: zoo(name), id=name) for name in ZOO),
    pytest.param(lambda: parsed(SMALL), id="small"),
]


def numbers(rect):
    return tuple(float(rect.get(key)) for key in ("x", "y", "width", "height"))


class Drawing:
    """An SVG's boxes, [(x, y, width, height), names], and edges, (first point, last point, title)."""

    def __init__(self, text):
        self.root = ElementTree.fromstring(text)
        self.boxes = []
        for group in self.root.iter(f"{SVG}g"):
            if group.get("class") == "box":
                rects = [
                    tuple(float(r.get(k)) for k in ("x", "y", "width", "height"))
                    for r in group.iter(f"{SVG}rect")
                ]
                titles = [title.text.split(" (")[0] for title in group.iter(f"{SVG}title")]
                height = sum(r[3] for r in rects)
                self.boxes.append(((*rects[0][:3], height), titles))
        self.edges = []
        for path in self.root.iter(f"{SVG}path"):
            if path.get("class") == "edge":
                points = [float(v) for v in re.findall(r"-?\d+\.?\d*", path.get("d"))]
                self.edges.append((points[:2], points[-2:], path[0].text))

    def lines(self, name):
        """The lines of a layer's row, and its colour."""
        for group in self.root.iter(f"{SVG}g"):
            title = group.find(f"{SVG}title")
            if title is not None and title.text.split(" (")[0] == name:
                return [t.text for t in group.iter(f"{SVG}text")], group.find(f"{SVG}rect").get(
                    "fill"
                )


@pytest.mark.parametrize("make", NETS)
@pytest.mark.parametrize("rankdir", ["TB", "RL"])
def test_every_layer_is_in_one_box_and_boxes_lie_apart(make, rankdir):
    net = make()
    drawing = Drawing(caffe.draw.svg(net, rankdir))
    names = [name for _, titles in drawing.boxes for name in titles]
    assert sorted(names) == sorted(each.name for each in net.layer)
    for (a, _), (b, _) in itertools.combinations(drawing.boxes, 2):
        gaps = [max(b[k] - a[k] - a[k + 2], a[k] - b[k] - b[k + 2]) for k in (0, 1)]
        assert max(gaps) > 5
    width, height = (float(drawing.root.get(k)) for k in ("width", "height"))
    assert all(
        x > 0 and x + w < width and y > 0 and y + h < height for (x, y, w, h), _ in drawing.boxes
    )


@pytest.mark.parametrize("make", NETS)
@pytest.mark.parametrize("rankdir", ["TB", "BT", "LR", "RL"])
def test_every_edge_begins_and_ends_at_its_boxes(make, rankdir):
    net = make()
    drawing = Drawing(caffe.draw.svg(net, rankdir))
    side = {"TB": (1, 1, 0), "BT": (1, 0, 1), "LR": (0, 1, 0), "RL": (0, 0, 1)}[rankdir]

    def at(point, far):
        """The boxes on whose side (far or near, along the flow) a point lies."""
        along, across = side[0], 1 - side[0]
        return [
            titles
            for box, titles in drawing.boxes
            if abs(point[along] - box[along] - far * box[along + 2]) < 0.2
            and box[across] < point[across] < box[across] + box[across + 2]
        ]

    found = []
    for first, last, blob in drawing.edges:
        ((source,), (target,)) = at(first, side[1]), at(last, side[2])
        found.append((source[0], blob, target[0]))
    box_of = {name: titles[0] for _, titles in drawing.boxes for name in titles}
    wanted, makers = [], {}
    for each in net.layer:
        if box_of[each.name] == each.name:
            wanted += [(makers[blob], blob, each.name) for blob in each.bottom if blob in makers]
            makers.update(dict.fromkeys(each.top, each.name))
    assert sorted(found) == sorted(wanted)


def test_texts_colours_and_layers_in_place():
    drawing = Drawing(caffe.draw.svg(parsed(SMALL)))
    assert drawing.lines("conv") == (["conv", "Convolution 5 3x3 stride 2 pad 1"], "#FF5050")
    assert drawing.lines("pool") == (["pool", "Pooling AVE 2x3"], "#FF9900")
    assert drawing.lines("ip") == (["ip", "InnerProduct 9"], "#CC33FF")
    assert drawing.lines("crop") == (["crop", "Crop at 4"], "#6495ED")
    assert drawing.lines("sum")[0] == ["sum", "Eltwise SUM"]
    assert drawing.lines("relu") == (["relu ReLU"], "#90EE90")
    rows = [titles for _, titles in drawing.boxes]
    assert ["conv", "relu"] in rows and ["late"] in rows  # `pool` reads the blob before `late`
    lines = Drawing(caffe.draw.svg(parsed(SMALL), display_lrm=True)).lines("conv")[0]
    assert lines[1].endswith("pad 1 lr mult 3")


def test_phases_shapes_and_titles():
    def names(phase):
        drawing = Drawing(caffe.draw.svg(parsed(SMALL), phase=phase))
        return {name for _, titles in drawing.boxes for name in titles}

    assert names(None) - names(caffe.TEST) == {"loss"}
    assert names(None) - names(caffe.TRAIN) == {"pool"}
    text = caffe.draw.svg(parsed(SMALL), shapes={"data": [1, 3, 8, 8]})
    assert "<title>data: 1 x 3 x 8 x 8</title>" in text and "<title>label</title>" in text
    assert "<title>a &lt;small&gt; net</title>" in text
    assert "convolution_param { num_output: 5 pad: 1" in text


def test_two_layers_that_make_one_blob_in_two_phases():
    data = 'layer {{ name: "{0}" type: "Data" top: "data" include {{ phase: {0} }} }}\n'
    reader = 'layer { name: "x" type: "ReLU" bottom: "data" top: "y" }'
    text = data.format("TRAIN") + data.format("TEST") + reader
    drawing = Drawing(caffe.draw.svg(parsed(text)))
    assert len(drawing.edges) == 2
    assert len(Drawing(caffe.draw.svg(parsed(text), phase=caffe.TEST)).edges) == 1


def test_it_needs_nothing_else():
    text = caffe.draw.svg(zoo("lenet"))
    assert text.startswith("<svg") and "<script" not in text
    assert set(re.findall(r"https?://[^\"]+", text)) == {"http://www.w3.org/2000/svg"}
    assert set(re.findall(r"url\(([^)]*)\)", text)) == {"#caffe-arrow"}


def test_old_formats_and_nets_of_nothing():
    for path in GOLDEN.glob("formats/v*/net.prototxt"):
        Drawing(caffe.draw.svg(parsed(path.read_text())))
    assert not Drawing(caffe.draw.svg(caffe_pb2.NetParameter())).boxes
    long = parsed('layer { name: "%s" type: "Input" top: "x" }' % ("n" * 300))
    assert Drawing(caffe.draw.svg(long)).boxes[0][0][2] < 400


def test_a_built_net_shows_its_drawing(net_of):
    text = source(9, 9) + conv("conv", "data", 5) + layer("relu", "ReLU", ["conv"], "conv")
    net = net_of(text + layer("sum", "Eltwise", ["conv", "conv"], "sum"))
    shown = net._repr_html_()
    drawing = Drawing(shown[shown.index("<svg") : shown.index("</svg>") + 6])
    assert [titles for _, titles in drawing.boxes] == [["data"], ["conv", "relu"], ["sum"]]
    assert [title for *_, title in drawing.edges] == [
        "data: 1 x 3 x 9 x 9",
        *["conv: 1 x 5 x 9 x 9"] * 2,
    ]


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_texts_fit_their_boxes_in_a_browser(tmp_path):
    (tmp_path / "net.svg").write_text(caffe.draw.svg(zoo("googlenet")))
    browser = Browser(tmp_path / "profile")
    try:
        browser.show(tmp_path / "net.svg", 1400)
        outside = browser.value(
            """[...document.querySelectorAll('g.box > g')].flatMap(row => {
              const box = row.querySelector('rect').getBBox();
              return [...row.querySelectorAll('text')].filter(text => {
                const t = text.getBBox();
                return t.x < box.x || t.x + t.width > box.x + box.width ||
                       t.y < box.y - 1 || t.y + t.height > box.y + box.height + 1;
              }).map(text => text.textContent);
            })"""
        )
    finally:
        browser.close()
    assert outside == []
