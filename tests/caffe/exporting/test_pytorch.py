"""The file of PyTorch: readable, alone, with the net's names."""

import ast
import subprocess
import sys

import pytest
import torch
from narrow import filled
from nets import layer

import caffe

SHAPE = "input_param { shape { dim: 2 dim: 3 dim: 9 dim: 12 } }"
DATA = f'layer {{ name: "data" type: "Input" top: "data" {SHAPE} }}\n'
CONV = "convolution_param { num_output: 3 kernel_size: 1 }"


@pytest.fixture
def exported(net_of, tmp_path):
    """The text of a net's file, and what loads it."""

    def exported(text, name="net", **kwargs):
        path = tmp_path / f"{name}.py"
        net = filled(net_of(f'name: "a net"\n{DATA}{text}'))
        caffe.export(net, path, **kwargs)
        space = {"__file__": str(path), "__name__": name}
        exec(compile(path.read_text(), str(path), "exec"), space)
        return path.read_text(), space["load"]

    return exported


def test_it_reads_as_if_written_by_hand(exported):
    text = layer("conv", "Convolution", ["data"], "conv", CONV) + layer(
        "relu", "ReLU", ["conv"], "conv"
    )
    text += layer("pool", "Pooling", ["conv"], "pool", "pooling_param { kernel_size: 2 stride: 2 }")
    text += layer("drop", "Dropout", ["pool"], "pool") + layer(
        "sum", "Eltwise", ["pool", "pool"], "sum"
    )
    written, load = exported(text)
    assert '"""data (N x 3 x H x W) to sum (N x 3 x h x w)."""' in written
    body = written[written.index("class ANet") : written.index("def load")]
    assert [line.strip() for line in body.splitlines()[3:] if line.strip()] == [
        "def __init__(self) -> None:",
        "super().__init__()",
        "self.conv = nn.Conv2d(3, 3, 1)",
        "self.drop = nn.Dropout(0.5)",
        "def forward(self, data: Tensor) -> Tensor:",
        "conv = F.relu(self.conv(data))",
        "pool = self.drop(F.max_pool2d(conv, 2, 2, ceil_mode=True))",
        "sum_ = pool + pool",
        "return sum_",
    ]
    assert set(load().state_dict()) == {"conv.weight", "conv.bias"} and not load().training


def test_it_needs_nothing_of_this_project(exported, tmp_path):
    text = layer("conv", "Convolution", ["data"], "conv", CONV)
    text += layer("crop", "Crop", ["conv", "data"], "crop", "crop_param { axis: 2 }")
    written, _ = exported(text)
    modules = {
        alias.name if isinstance(node, ast.Import) else node.module
        for node in ast.walk(ast.parse(written))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    assert modules == {"pathlib", "torch", "torch.nn"}
    code = "import torch, net; print(list(net.load()(torch.zeros(1, 3, 5, 7)).shape))"
    done = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, '.'); {code}"],
        capture_output=True, text=True, cwd=tmp_path, check=True,
    )  # fmt: skip
    assert done.stdout == "[1, 3, 5, 7]\n"


def test_several_outputs_are_a_dictionary(exported):
    text = layer("a", "ReLU", ["data"], "a") + layer("b", "TanH", ["data"], "b")
    _, load = exported(text)
    assert list(load()(torch.zeros(1, 3, 2, 2))) == ["a", "b"]


def test_names_that_python_cannot_have(exported):
    text = layer("conv1/7x7_s2", "Convolution", ["data"], "conv1/7x7_s2", CONV)
    text += layer("lambda", "Convolution", ["conv1/7x7_s2"], "lambda", CONV)
    text += layer("train", "Convolution", ["lambda"], "torch", CONV)
    text += layer("1", "Convolution", ["torch"], "1", CONV)
    written, load = exported(text)
    names = [name for name, _ in load().named_children()]
    assert names == ["conv1_7x7_s2", "lambda_", "train_", "_1"]
    assert "self.conv1_7x7_s2 = nn.Conv2d(3, 3, 1)  # conv1/7x7_s2" in written


def test_a_name_cannot_write_code(exported):
    evil = '\\"\\"\\"\\nimport antigravity\\n#{x}'
    written, _ = exported(layer(evil, "Convolution", ["data"], evil, CONV))
    assert "\nimport antigravity" not in written


def test_names_that_become_the_same(exported):
    text = layer("a-b", "Convolution", ["data"], "a-b", CONV)
    text += layer("a.b", "Convolution", ["a-b"], "a.b", CONV)
    _, load = exported(text)
    assert [name for name, _ in load().named_children()] == ["a_b", "a_b_"]


def test_shared_weights_are_one_parameter(exported):
    shared = 'param { name: "w" } param { name: "b" }' + CONV
    text = layer("a", "Convolution", ["data"], "a", shared)
    _, load = exported(text + layer("b", "Convolution", ["a"], "b", shared))
    net = load()
    assert net.a.weight is net.b.weight and net.a.bias is net.b.bias


def test_what_does_not_learn(exported):
    text = layer(
        "a", "Convolution", ["data"], "a", "param { lr_mult: 0 } param { lr_mult: 0 }" + CONV
    )
    text += layer(
        "b", "Convolution", ["a"], "b", "param { lr_mult: 1 } param { lr_mult: 0 }" + CONV
    )
    _, load = exported(text)
    learns = {name for name, p in load().named_parameters() if p.requires_grad}
    assert learns == {"b.weight"}


def test_a_file_name_that_cannot_be_imported(exported):
    written, _ = exported(layer("relu", "ReLU", ["data"], "relu"), name="voc-fcn8s")
    assert 'load = runpy.run_path("voc-fcn8s.py")["load"]' in written


def test_safetensors(exported, tmp_path):
    pytest.importorskip("safetensors")
    shared = 'param { name: "w" } param { name: "b" }' + CONV
    text = layer("a", "Convolution", ["data"], "a", shared)
    text += layer("b", "Convolution", ["a"], "b", shared)
    written, load = exported(text, weights=tmp_path / "net.safetensors")
    assert "load_file(path)" in written and not (tmp_path / "net.pth").exists()
    assert load().a.weight.shape == (3, 3, 1, 1)


def test_batch_normalization_in_training(exported):
    """Its own in training, running statistics afterwards; frozen ones where the net says so."""
    _, load = exported(layer("bn", "BatchNorm", ["data"], "bn"))
    net, x = load(), torch.randn(4, 3, 5, 5) * 3 + 1
    assert not torch.allclose(net(x).mean((0, 2, 3)), torch.zeros(3), atol=1e-3)
    assert torch.allclose(net.train()(x).mean((0, 2, 3)), torch.zeros(3), atol=1e-5)
    frozen = "batch_norm_param { use_global_stats: true }"
    _, load = exported(layer("bn", "BatchNorm", ["data"], "bn", frozen), name="frozen")
    net = load()
    assert torch.equal(net(x), net.train()(x))


@pytest.mark.parametrize("name", ["F", "tensor", "nn", "path", "exception"])
def test_a_net_called_as_what_the_file_needs(net_of, tmp_path, name):
    net = net_of(f'name: "{name}"\n{DATA}' + layer("relu", "ReLU", ["data"], "relu"))
    caffe.export(net, tmp_path / "net.py")
    assert "class Net" in (text := (tmp_path / "net.py").read_text()) or "class Nn(" in text
