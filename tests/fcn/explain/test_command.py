"""`fcn explain`: the table, JSON and times, and a sentence for whatever is no picture's net."""

import json
import re

import pytest
from places import ROOT

import caffe
import caffe.draw
from caffe import layers as L
from fcn import explain
from fcn.cli import main
from fcn.explain.table import scaled, shapes


def run(*arguments):
    return main(["explain", *map(str, arguments)])


def told(capsys, *arguments):
    """What the command prints as JSON."""
    assert run("--json", *arguments) == 0
    return json.loads(capsys.readouterr().out)


def layer(text):
    return f"layer {{ {text} }}\n"


INPUT = (
    'name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 32 dim: 40 } }'
)
CONV = (
    'name: "conv" type: "Convolution" bottom: "data" top: "conv" '
    "convolution_param { num_output: 2 kernel_size: 3 }"
)


@pytest.fixture
def file(tmp_path, monkeypatch):
    """A function from a prototxt's layers to its path."""
    monkeypatch.chdir(tmp_path)

    def write(*layers):
        path = tmp_path / "net.prototxt"
        path.write_text("".join(map(layer, layers)))
        return path

    return write


# ---- the table


def test_rows_of_fcn8s(capsys):
    """Against the numbers that are known of VGG-16 and FCN-8s."""
    found = told(capsys, "voc-fcn8s")
    layers = {row["name"]: row for row in found["layers"]}
    conv = layers["conv1_2"]
    assert conv["bottoms"] == {"conv1_1": [1, 64, 698, 698]} and conv["window"] == "3x3, pad 1"
    assert conv["tops"] == {"conv1_2": [1, 64, 698, 698]}
    assert conv["parameters"] == 64 * 64 * 9 + 64
    assert conv["parameter_bytes"] == 4 * conv["parameters"]
    assert conv["multiply_adds"] == 64 * 64 * 9 * 698**2
    assert conv["map_bytes"] == 4 * 64 * 698**2
    assert conv["receptive_field"] == [5, 5] and conv["apart"] == [1, 1]
    assert conv["first_at"] == [-99, -99]
    assert layers["relu1_2"]["map_bytes"] == 0  # in place
    assert layers["score_pool4c"]["window"] == "offset 5"
    assert layers["fc7"]["receptive_field"] == [404, 404]
    total = found["total"]
    assert total["parameters"] == sum(row["parameters"] for row in found["layers"]) == 134_489_759
    assert [crop["offset"] for crop in found["crops"]] == [5, 9, 31]
    assert not any(crop["problem"] for crop in found["crops"])


@pytest.mark.parametrize("name", ["voc-fcn16s", "nyud-fcn32s-color-hha", "ilsvrc-nets/vgg16"])
def test_sums_are_those_that_the_engine_tells(name):
    explained = explain.read(name)
    rows, need = explain.rows(explained), caffe.memory.need(explained.net)
    assert 4 * sum(row.parameters for row in rows) == need.weights
    assert sum(row.map_bytes for row in rows) == need.maps
    assert len(rows) == len(explained.param.layer)


def test_weights_that_layers_share_count_once(capsys, file):
    shared = (
        '{} type: "Convolution" bottom: "data" top: "{}" param {{ name: "w" }} param {{ name: "b" }} '
        "convolution_param {{ num_output: 2 kernel_size: 3 }}"
    )
    texts = [shared.format(f'name: "{name}"', name) for name in "ab"]
    assert [row["parameters"] for row in told(capsys, file(INPUT, *texts))["layers"]] == [0, 56, 0]


def test_table_as_text(capsys, file):
    relu = 'name: "relu" type: "ReLU" bottom: "conv" top: "conv"'
    assert run(file(INPUT, CONV, relu)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("net.prototxt, for data 1x3x32x40")
    row = next(line for line in lines if line.startswith("conv "))
    cells = ["conv", "Convolution", "3x32x40", "2x30x38", "3x3", "56", "224 B", "3", "1", "1"]
    cells += ["61.6 k", "100.0%", "8.91 KiB", "37.3%"]
    assert re.split(r"\s{2,}", row) == cells
    assert next(line for line in lines if line.startswith("relu ")).split()[3:5] == ["in", "place"]
    assert "in all 3 layers, 56 parameters, 61.6 k multiply-adds" in "\n".join(lines)
    assert "pictures fit from 3 pixels on (2: conv: its kernel does not fit" in "\n".join(lines)


def test_one_layer_is_not_called_layers(capsys, file):
    scale = 'name: "scale" type: "Power" bottom: "data" top: "data"'
    assert run(file(INPUT, scale)) == 0
    out = capsys.readouterr().out
    assert "in all 2 layers, 0 parameters, no multiply-adds" in out
    assert "no layer moves what the picture shows, and pictures of every size fit" in out


def test_time_is_measured_layer_by_layer(capsys, file):
    found = told(capsys, file(INPUT, CONV), "--time", "--cpu")
    times = {row["name"]: row["ms"] for row in found["layers"]}
    assert times["conv"] > 0 and set(times) == {"input", "conv"}
    assert run(file(INPUT, CONV), "--time", "--cpu") == 0
    out = capsys.readouterr().out
    assert " ms " in out and re.search(r"a forward takes \d+\.\d ms", out)


@pytest.mark.parametrize(
    "text, shape", [("20x30", [1, 3, 20, 30]), ("1x20x30", [1, 1, 20, 30]), (None, [1, 3, 32, 40])]
)
def test_size_of_the_picture(capsys, file, text, shape):
    options = ["--size", text] if text else []
    assert told(capsys, file(INPUT, CONV), *options)["inputs"] == {"data": shape}


@pytest.mark.parametrize("text", ["20", "0x3", "axb", "1x2x3x4", ""])
def test_no_size(capsys, file, text):
    with pytest.raises(SystemExit):
        run(file(INPUT, CONV), "--size", text)
    assert "--size" in capsys.readouterr().err


def test_size_that_does_not_fit_exits_2(capsys, file):
    assert run(file(INPUT, CONV), "--size", "2x2") == 2
    assert "layer 'conv' (Convolution): no window fits" in capsys.readouterr().err


def test_drawing(capsys, file, tmp_path, monkeypatch):
    """Of the net as it is explained: without a loss."""
    loss = 'name: "loss" type: "SoftmaxWithLoss" bottom: "conv" bottom: "data"'
    drawn = lambda net: " ".join(layer.name for layer in net.layer)  # noqa: E731
    monkeypatch.setattr(caffe.draw, "svg", drawn, raising=False)
    assert run(file(INPUT, CONV, loss), "--svg", tmp_path / "net.svg") == 0
    assert (tmp_path / "net.svg").read_text() == "input conv"
    assert f"wrote {tmp_path / 'net.svg'}" in capsys.readouterr().out


def test_a_drawing_is_svg(file, tmp_path):
    if not hasattr(caffe.draw, "svg"):
        pytest.skip("caffe.draw.svg is not there")
    assert run("voc-fcn8s", "--svg", tmp_path / "net.svg") == 0
    assert "<svg" in (tmp_path / "net.svg").read_text()


def test_numbers_for_people():
    assert [scaled(v, 1000, ("", "k", "M")) for v in (0, 9, 999, 1000, 12_345, 5e9)] == [
        *("", "9", "999", "1 k", "12.3 k", "5e+03 M")
    ]
    assert shapes({"a": [1, 3, 4, 5]}) == "3x4x5" and shapes({"a": [2, 3]}) == "2x3"
    assert shapes({"a": [1, 3], "b": [1, 3]}) == "2 of 3" and shapes({}) == ""


# ---- what the data layers state


def test_the_size_that_data_layers_state(capsys, file):
    """A net for training and test, with a data layer each: the size is that of its crops."""
    data = (
        'name: "data" type: "Data" top: "data" top: "label" include {{ phase: {} }} '
        "transform_param {{ crop_size: {} }}"
    )
    loss = 'name: "loss" type: "SoftmaxWithLoss" bottom: "conv" bottom: "label"'
    extra = (
        'name: "aux" type: "Convolution" bottom: "data" top: "aux" include { phase: TRAIN } '
        "convolution_param { num_output: 2 kernel_size: 3 }"
    )
    found = told(capsys, file(data.format("TRAIN", 20), data.format("TEST", 30), CONV, extra, loss))
    assert found["inputs"] == {"data": [1, 3, 30, 30]}
    assert [row["name"] for row in found["layers"]] == ["input", "conv"]


@pytest.mark.parametrize(
    "text, shape",
    [
        ('type: "MemoryData" memory_data_param { batch_size: 2 channels: 1 height: 9 width: 8 }',
         [2, 1, 9, 8]),
        ('type: "ImageData" image_data_param { new_height: 7 new_width: 9 is_color: false }',
         [1, 1, 7, 9]),
        ('type: "DummyData" dummy_data_param { shape { dim: [1, 4, 8, 9] } }', [1, 4, 8, 9]),
        ('type: "Data" transform_param { force_gray: true crop_size: 12 }', [1, 1, 12, 12]),
        ('type: "HDF5Data" hdf5_data_param { source: "none.txt" batch_size: 3 }', [1, 3, 500, 500]),
        ('type: "Python" python_param { module: "none" layer: "None" }', [1, 3, 500, 500]),
    ],
)  # fmt: skip
def test_data_layers_without_data(capsys, file, text, shape):
    found = told(capsys, file(f'name: "d" {text} top: "data"', CONV))
    assert found["inputs"] == {"data": shape}


def test_nets_of_the_old_formats(capsys, tmp_path):
    path = tmp_path / "deploy.prototxt"
    path.write_text("""name: "old" input: "data" input_dim: 1 input_dim: 3 input_dim: 50 input_dim: 60
    layers { name: "conv" type: CONVOLUTION bottom: "data" top: "conv"
      convolution_param { num_output: 4 kernel_size: 5 pad: 2 } }
    layers { name: "relu" type: RELU bottom: "conv" top: "conv" }""")
    found = told(capsys, path)
    assert found["inputs"] == {"data": [1, 3, 50, 60]}
    assert [row["type"] for row in found["layers"]] == ["Input", "Convolution", "ReLU"]
    assert found["layers"][1]["receptive_field"] == [5, 5]


# ---- sentences


def test_a_net_without_convolution(capsys, file):
    """Row 40: it was a traceback."""
    product = 'name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param { num_output: 4 }'
    assert run(file(INPUT, product)) == 0
    out = capsys.readouterr().out
    assert (
        "pictures of 32 by 40 pixels fit:" in out and "ip (InnerProduct) takes data at 32x40" in out
    )
    vectors = INPUT.replace("dim: 32 dim: 40", "")
    assert run(file(vectors, product)) == 0
    assert "the net reads no pictures" in capsys.readouterr().out


def test_kernels_by_axis_and_global_pooling(capsys, file):
    """Settings that the coordinate map does not take; they were tracebacks."""
    flat = CONV.replace("kernel_size: 3", "kernel_h: 3 kernel_w: 5 pad_h: 1 pad_w: 0")
    crop = (
        'name: "crop" type: "Crop" bottom: "data" bottom: "conv" top: "crop" crop_param { axis: 3 }'
    )
    pool = 'name: "all" type: "Pooling" bottom: "crop" top: "all" pooling_param { global_pooling: true }'
    assert run(file(INPUT, flat, crop, pool)) == 0
    out = capsys.readouterr().out
    assert "3x5, pad 1x0" in out and "3x5" in out.split("conv ")[1]
    assert "crop: its bottoms cannot be mapped: kernel_size" in out
    assert (
        "heights:\npictures of every size fit" in out
        and "widths:\npictures fit from 5 pixels" in out
    )


def test_behind_a_layer_of_ones_own_code(capsys, file, tmp_path, monkeypatch):
    monkeypatch.setattr("caffe.python_modules._allowed", {str(tmp_path): None})
    (tmp_path / "mine.py").write_text(
        "import caffe\n\n\nclass Mine(caffe.Layer):\n"
        "    def reshape(self, bottom, top):\n        top[0].reshape(*bottom[0].data.shape)\n\n"
        "    def forward(self, bottom, top):\n        pass\n"
    )
    own = 'name: "own" type: "Python" bottom: "conv" top: "own" python_param { module: "mine" layer: "Mine" }'
    assert run(file(INPUT, CONV, own)) == 0
    out = capsys.readouterr().out
    assert "as far as own (Python), behind which sizes cannot be told" in out
    assert run(file(INPUT, CONV, own.replace('"mine"', '"thine"'))) == 2
    err = capsys.readouterr().err
    assert "for a Python layer (own)" in err and "'thine' cannot be imported" in err


NOT_NETS = {
    "no layers": ([], "no layers, so this is no net"),
    "data alone": ([INPUT], "nothing but data layers"),
    "no data": ([CONV], "no layer gives 'data', which 'conv' reads"),
    "no such type": ([INPUT, CONV.replace("Convolution", "Konvolution")], "unknown layer type"),
    "no such bottom": ([INPUT, CONV.replace('bottom: "data"', 'bottom: "dota"')], "'dota'"),
    "no kernel": ([INPUT, CONV.replace("kernel_size: 3", "")], "kernel"),
}


@pytest.mark.parametrize("which", NOT_NETS)
def test_what_cannot_be_built_is_a_sentence(which, capsys, file):
    layers, sentence = NOT_NETS[which]
    assert run(file(*layers)) == 2
    err = capsys.readouterr().err
    assert sentence in err and "should not happen" not in err and "Traceback" not in err


def test_weights_instead_of_a_net(capsys, file, tmp_path):
    net = caffe.Net(str(file(INPUT, CONV)), caffe.TEST)
    net.params["conv"][0].data[...] = -1.7
    net.save("w.caffemodel")
    assert run("w.caffemodel") == 2
    assert "w.caffemodel: no text, so no prototxt" in capsys.readouterr().err
    assert run(tmp_path / "sub") == 2
    assert run(ROOT / "voc-fcn8s/solver.prototxt") == 2
    assert 'solver.prototxt:1:1 : Message type "caffe.NetParameter" has no field' in (
        capsys.readouterr().err
    )


def test_a_crop_that_follows_from_no_picture(capsys, file):
    n = caffe.NetSpec()
    n.data = L.Input(shape=dict(dim=[1, 3, 20, 20]))
    n.other = L.Input(shape=dict(dim=[1, 3, 10, 10]))
    n.crop = L.Crop(n.data, n.other, axis=2, offset=[3])
    path = file()
    path.write_text(str(n.to_proto()))
    assert run(path) == 0
    assert "crop: its bottoms have no picture in common" in capsys.readouterr().out
