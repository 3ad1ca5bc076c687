"""The file of ONNX: sizes, weights beside it, and as few nodes as say what the net computes."""

import numpy as np
import pytest
from narrow import filled
from nets import layer

import caffe

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

SHAPE = "input_param { shape { dim: 1 dim: 3 dim: 9 dim: 12 } }"
DATA = f'layer {{ name: "data" type: "Input" top: "data" {SHAPE} }}\n'
CONV = "convolution_param { num_output: %d kernel_size: %d stride: %d pad: %d bias_term: false }"


@pytest.fixture
def exported(net_of, tmp_path):
    def exported(text, fill=True, **kwargs):
        net = net_of(DATA + text)
        report = caffe.export(filled(net) if fill else net, tmp_path / "net.onnx", **kwargs)
        model = onnx.load(tmp_path / "net.onnx")
        onnx.checker.check_model(model, full_check=True)
        return model, report

    return exported


def kinds(model):
    return [node.op_type for node in model.graph.node]


def dims(value):
    return [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]


def test_inputs_and_outputs(exported):
    model, report = exported(layer("c", "Convolution", ["data"], "c", CONV % (2, 3, 1, 1)))
    assert dims(model.graph.input[0]) == ["batch", 3, "height", "width"]
    assert dims(model.graph.output[0]) == ["c_batch", 2, "c_height", "c_width"]
    assert model.opset_import[0].version >= 18
    assert [v.name for v in (*model.graph.input, *model.graph.output)] == ["data", "c"]
    assert str(report).startswith(f"wrote {report.files[0]}\n  inputs: data ?x3x?x?\n")


def test_a_crop_is_a_slice_that_ends_where_the_data_does(exported):
    up = layer("up", "Deconvolution", ["data"], "up", CONV % (3, 4, 2, 0))
    crop = layer("crop", "Crop", ["up", "data"], "crop", "crop_param { axis: 2 offset: 1 }")
    assert kinds(exported(up + crop)[0]) == ["ConvTranspose", "Shape", "Add", "Slice"]


def test_pooling_of_most_nets_is_one_node(exported):
    pool = "pooling_param { pool: %s kernel_size: %d stride: %d pad: %d }"
    text = layer("a", "Pooling", ["data"], "a", pool % ("MAX", 3, 2, 0))
    text += layer("b", "Pooling", ["a"], "b", pool % ("AVE", 3, 1, 1))
    text += layer("c", "Pooling", ["b"], "c", "pooling_param { pool: AVE global_pooling: true }")
    assert kinds(exported(text)[0]) == ["MaxPool", "AveragePool", "ReduceMean"]


def test_dropout_and_splits_are_no_nodes(exported):
    text = layer("drop", "Dropout", ["data"], "drop") + layer("a", "ReLU", ["drop"], "a")
    text += layer("b", "TanH", ["drop"], "b") + layer("sum", "Eltwise", ["a", "b"], "sum")
    assert kinds(exported(text)[0]) == ["Relu", "Tanh", "Add"]


def test_channels_that_do_not_mix_are_upsampled_apart(exported):
    text = "convolution_param { num_output: 3 kernel_size: 4 stride: 2 bias_term: false %s }"
    bilinear = 'weight_filler { type: "bilinear" }'
    mixed, _ = exported(layer("up", "Deconvolution", ["data"], "up", text % ""))
    assert mixed.graph.initializer[0].dims == [3, 3, 4, 4]
    eye = layer("up", "Deconvolution", ["data"], "up", text % f"group: 3 {bilinear}")
    assert exported(eye, fill=False)[0].graph.initializer[0].dims == [3, 1, 4, 4]


def test_a_bilinear_deconvolution_without_groups(net_of, tmp_path):
    net = net_of(DATA + layer("up", "Deconvolution", ["data"], "up", CONV % (3, 4, 2, 0)))
    for i in range(3):
        net.params["up"][0].data[i, i] = np.outer(
            [0.25, 0.75, 0.75, 0.25], [0.25, 0.75, 0.75, 0.25]
        )
    caffe.export(net, tmp_path / "net.onnx")
    model = onnx.load(tmp_path / "net.onnx")
    assert model.graph.initializer[0].dims == [3, 1, 4, 4]
    assert {a.name: a.i for a in model.graph.node[0].attribute}["group"] == 3


def test_weights_that_layers_share_are_stored_once(exported):
    shared = 'param { name: "w" }' + CONV % (3, 1, 1, 0)
    text = layer("a", "Convolution", ["data"], "a", shared)
    model, _ = exported(text + layer("b", "Convolution", ["a"], "b", shared))
    assert [constant.name for constant in model.graph.initializer] == ["a.weight"]


def test_names_are_the_nets(exported):
    text = layer("c/7x7", "Convolution", ["data"], "c/7x7", CONV % (2, 3, 1, 0))
    text += layer("relu", "ReLU", ["c/7x7"], "c/7x7")
    model, _ = exported(text)
    assert [list(node.output) for node in model.graph.node] == [["c/7x7@c/7x7"], ["c/7x7"]]
    assert model.graph.initializer[0].name == "c/7x7.weight"


def test_weights_too_large_for_one_file_lie_beside_it(exported, tmp_path, monkeypatch):
    from caffe.exporting.onnx import model as module

    monkeypatch.setattr(module, "LIMIT", 100)
    _, report = exported(layer("c", "Convolution", ["data"], "c", CONV % (64, 3, 1, 0)))
    assert [file.name for file in report.files] == ["net.onnx", "net.onnx.data"]
    assert (tmp_path / "net.onnx").stat().st_size < 2000
    assert (tmp_path / "net.onnx.data").stat().st_size >= 64 * 27 * 4


def test_an_output_that_is_an_input_or_a_constant(exported):
    text = layer("p", "Parameter", [], "p", "parameter_param { shape { dim: 2 } }")
    model, report = exported(text + layer("r", "ReLU", ["data"], "r"))
    assert list(report.outputs) == ["p", "r"] and kinds(model) == ["Relu", "Identity"]


def test_a_plane_that_only_pyramids_fix(exported):
    text = layer("spp", "SPP", ["data"], "spp", "spp_param { pool: AVE pyramid_height: 2 }")
    model, _ = exported(text)
    assert dims(model.graph.input[0]) == ["batch", 3, 9, 12]


def test_layers_of_one_name(exported):
    """HED's five crops are all called crop."""
    up = layer("up", "Deconvolution", ["data"], "up", CONV % (3, 4, 2, 0))
    up += layer("crop", "Crop", ["up", "data"], "a", "crop_param { axis: 2 offset: 1 }")
    up += layer("crop", "Crop", ["up", "data"], "b", "crop_param { axis: 2 offset: 2 }")
    model, _ = exported(up)
    names = [node.name for node in model.graph.node]
    assert kinds(model).count("Slice") == 2 and len(set(names)) == len(names)
