"""An export that computes something else fails, names the layer, and leaves nothing behind."""

import numpy as np
import pytest
from nets import layer

import caffe
from caffe.exporting import check
from caffe.exporting.pytorch import parts
from caffe.exporting.pytorch.writers import WRITERS

SHAPE = "input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } }"
DATA = f'layer {{ name: "data" type: "Input" top: "data" {SHAPE} }}\n'
GAUSS = 'weight_filler { type: "gaussian" std: 1 }'
BODY = layer(
    "conv",
    "Convolution",
    ["data"],
    "conv",
    f"convolution_param {{ num_output: 4 kernel_size: 3 {GAUSS} }}",
)
BODY += layer("relu", "ReLU", ["conv"], "conv") + layer(
    "pool", "Pooling", ["conv"], "pool", "pooling_param { kernel_size: 2 stride: 2 }"
)


def onnx_writers():
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from caffe.exporting.onnx.writers import WRITERS

    return WRITERS


def test_the_layer_is_named_pytorch(net_of, tmp_path, monkeypatch):
    monkeypatch.setitem(WRITERS, "ReLU", lambda c, layer, x: f"F.relu({x[0]}) + 0.1")
    with pytest.raises(ValueError, match=r"layer 'relu' \(ReLU\), off by .*PyTorch and Caffe part"):
        caffe.export(net_of(DATA + BODY), tmp_path / "net.py")
    assert not list(tmp_path.glob("net.p[ty]*")) and not list(tmp_path.glob(".export*"))


def test_the_layer_is_named_onnx(net_of, tmp_path, monkeypatch):
    monkeypatch.setitem(onnx_writers(), "ReLU", lambda g, layer, x: g.op("LeakyRelu", x[0]))
    with pytest.raises(ValueError, match=r"layer 'relu' \(ReLU\).*ONNX Runtime and Caffe part"):
        caffe.export(net_of(DATA + BODY), tmp_path / "net.onnx")
    assert not list(tmp_path.glob("net.onnx*"))


def test_what_is_hidden_by_zeros_is_seen(net_of, tmp_path, monkeypatch):
    """The last layer has no weights yet, so that all outputs are 0."""
    zero = layer(
        "zero",
        "Convolution",
        ["pool"],
        "zero",
        "convolution_param { num_output: 2 kernel_size: 1 }",
    )
    caffe.export(net_of(DATA + BODY + zero), tmp_path / "good.py", gradients=False)
    monkeypatch.setitem(WRITERS, "ReLU", lambda c, layer, x: f"F.relu({x[0]}) + 0.1")
    with pytest.raises(ValueError, match=r"layer 'relu' \(ReLU\)"):
        caffe.export(net_of(DATA + BODY + zero), tmp_path / "net.py")


def test_gradients_that_differ_are_seen(net_of, tmp_path, monkeypatch):
    monkeypatch.setitem(
        WRITERS, "ReLU", lambda c, layer, x: f"F.relu({x[0]}.detach() * 2 - {x[0]})"
    )
    caffe.export(net_of(DATA + BODY), tmp_path / "net.py", gradients=False)
    with pytest.raises(
        ValueError, match=r"layer 'conv' \(Convolution\): in training the gradient of"
    ):
        caffe.export(net_of(DATA + BODY), tmp_path / "other.py")
    assert not (tmp_path / "other.py").exists()


def test_outputs_that_are_no_numbers_say_nothing(net_of, tmp_path):
    net = net_of(DATA + layer("bn", "BatchNorm", ["data"], "bn"))
    net.params["bn"][1].data[...], net.params["bn"][2].data[...] = -1, 1
    with pytest.raises(ValueError, match="nothing to compare.*statistics of BatchNorm"):
        caffe.export(net, tmp_path / "net.py")


def test_a_choice_between_nearly_equal_values_may_fall_otherwise(net_of):
    """A few of many cells; more than one in a thousand may not."""
    net = net_of(
        DATA.replace("8", "40")
        + layer("best", "ArgMax", ["data"], "best", "argmax_param { axis: 1 }")
    )

    class Other:
        library = "another"
        wrong = 1

        def run(self, inputs):
            best = inputs["data"].argmax(1)[:, None].astype(np.float32)
            best[0, 0, 0, : self.wrong] = 3
            return {"best": best}

        def trace(self, inputs):
            return {1: [self.run(inputs)["best"]]}

    other = Other()
    inputs = {"data": np.random.default_rng(0).standard_normal((1, 3, 40, 40), np.float32)}
    assert check.agree(net, ["best"], [inputs], other)[0].off > 1e-5
    other.wrong = 4
    with pytest.raises(ValueError, match=r"layer 'best' \(ArgMax\)"):
        check.agree(net, ["best"], [inputs], other)


def test_what_no_target_says(net_of, tmp_path):
    pool = layer(
        "pool", "Pooling", ["data"], "pool", "pooling_param { pool: STOCHASTIC kernel_size: 2 }"
    )
    with pytest.raises(ValueError, match=r"layer 'pool' \(Pooling\): STOCHASTIC"):
        caffe.export(net_of(DATA + pool), tmp_path / "net.py")


def test_a_type_without_a_row(net_of, tmp_path, monkeypatch):
    monkeypatch.delitem(WRITERS, "ReLU")
    with pytest.raises(ValueError, match=r"'relu' \(ReLU\): PyTorch has no word for this type"):
        caffe.export(net_of(DATA + BODY), tmp_path / "net.py")


@pytest.mark.parametrize(
    "name, options, message",
    [
        ("net.pb", {}, r"net.pb: the name must end in .onnx or .py"),
        (
            "net.py",
            {"weights": "net.h5"},
            r"net.h5: a file of weights ends in .pth or .safetensors",
        ),
        ("net.py", {"weights": "/elsewhere/net.pth"}, "the weights lie beside the module"),
        ("none/net.py", {"weights": "none/net.pth"}, "there is no folder"),
    ],
)
def test_wrong_names(net_of, name, options, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        caffe.export(net_of(DATA + BODY), name, **options)


def test_a_library_that_is_missing_is_named(net_of, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    monkeypatch.delitem(__import__("sys").modules, "caffe.exporting.onnx.model", raising=False)
    with pytest.raises(ImportError, match=r"pip install fcn-caffe\[onnx\]"):
        caffe.export(net_of(DATA + BODY), tmp_path / "net.onnx")


def test_parts_stand_alone():
    """They are copied into files that know nothing of this project."""
    import ast
    import inspect

    tree = ast.parse(inspect.getsource(parts))
    imported = {
        alias.name if isinstance(node, ast.Import) else node.module
        for node in tree.body
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    assert imported == {"math", "collections.abc", "torch", "torch.nn"}


BN = layer("bn", "BN", ["conv"], "bn", 'bn_param { scale_filler { type: "gaussian" } }')
MASKED = layer("pool", "Pooling", ["data"], "pool", "pooling_param { kernel_size: 2 stride: 2 }")
MASKED = MASKED.replace('top: "pool"', 'top: "pool" top: "mask"')
MASKED += layer("up", "Upsample", ["pool", "mask"], "up", "upsample_param { scale: 2 }")


def test_pooling_that_chose_its_neighbour_hides_nothing_behind_it(net_of, tmp_path, monkeypatch):
    """In a plane of 400 x 400 the places are large numbers: one more is one part in 100,000."""
    net = net_of(DATA.replace("8", "400") + MASKED + layer("abs", "AbsVal", ["up"], "abs"))
    rng = np.random.default_rng(0)
    inputs = {"data": rng.standard_normal((1, 3, 400, 400), np.float32)}
    check.feed(net, inputs)
    own = {step.at: tops for step, tops in check.own_tops(net, inputs)}

    class Other:
        library = "another"
        bias = 0.0

        def run(self, inputs):
            return {"abs": self.trace(inputs)[3][0]}

        def trace(self, inputs):
            pooled, mask = own[1][0], own[1][1].copy()
            mask[0, 0, 199, 199] += 1 if mask[0, 0, 199, 199] % 2 == 0 else -1
            up = np.zeros_like(inputs["data"])
            for c in range(3):
                up[0, c].flat[mask[0, c].astype(int)] = pooled[0, c]
            return {1: [pooled, mask], 2: [up], 3: [np.abs(up) + self.bias]}

    other = Other()
    (trial,) = check.agree(net, ["abs"], [inputs], other)
    assert trial.off > 1e-5 and trial.chosen == ("pool",)
    assert "for pool chose otherwise between nearly equal values" in str(trial)
    other.bias = 1e-3
    with pytest.raises(ValueError, match=r"layer 'abs' \(AbsVal\)"):
        check.agree(net, ["abs"], [inputs], other)


def test_outputs_that_are_all_0_are_said_to_be(net_of, tmp_path):
    zero = "convolution_param { num_output: 2 kernel_size: 1 }"
    report = caffe.export(
        net_of(DATA + layer("zero", "Convolution", ["data"], "zero", zero)), tmp_path / "net.py"
    )
    assert str(report).count("but all outputs are 0: no weights?") == 3


def test_a_gradient_that_is_rounding_alone(net_of, tmp_path):
    """Of a bias before batch statistics, which are subtracted again."""
    text = DATA.replace("dim: 1 ", "dim: 2 ", 1) + BODY[: BODY.index("layer", 5)]
    report = caffe.export(net_of(text + BN), tmp_path / "net.py")
    assert report.gradients.startswith("off by")
