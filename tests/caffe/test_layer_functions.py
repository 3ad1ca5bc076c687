"""What editors and notebooks offer: completion on `L.` and `P.`, signatures, docstrings, types."""

import inspect
import re
import rlcompleter

import pytest
from mypy import api
from places import ROOT

import caffe
from caffe import layers as L
from caffe import params as P
from caffe.layer import LAYER_TYPES
from caffe.net_spec import NetSpec
from caffe.proto import caffe_pb2

SCRIPT = """
import numpy as np

import caffe
from caffe import layers as L
from caffe import params as P
from caffe.proto import caffe_pb2


def spec() -> caffe_pb2.NetParameter:
    n = caffe.NetSpec()
    n.data = L.Input(shape=dict(dim=[1, 3, 8, 8]))
    n.conv = L.Convolution(n.data, num_output=4, kernel_size=3)
    n.pool = L.Pooling(n.conv, pool=P.Pooling.MAX, kernel_size=2)
    return n.to_proto()


def score(prototxt: str, weights: str, picture: np.ndarray) -> np.ndarray:
    caffe.set_mode_cpu()
    net = caffe.Net(prototxt, weights, caffe.TEST)
    caffe.Net(prototxt, caffe.TEST, weights=weights)
    net.blobs["data"].reshape(1, *picture.shape)
    net.blobs["data"].data[...] = picture
    transformer = caffe.io.Transformer({"data": net.blobs["data"].data.shape})
    transformer.set_mean("data", np.zeros(3))
    solver = caffe.get_solver("solver.prototxt")
    solver.step(1)
    solver.net.copy_from(weights)
    timer = caffe.Timer()
    timer.start()
    caffe.Classifier(prototxt, weights, image_dims=(256, 256))
    return net.forward()["score"]


reveal_type(caffe_pb2.LayerParameter(name="a").convolution_param.num_output)
reveal_type(caffe.Net("net.prototxt", caffe.TEST).params["conv"][0].shape)
caffe.Net("net.prototxt")
caffe.Net("net.prototxt", caffe.TEST).set_phase_test()
"""


def completions(text):
    completer, found = rlcompleter.Completer({"L": L, "P": P, "caffe": caffe}), []
    while (word := completer.complete(text, len(found))) is not None:
        found.append(re.sub(r"[(). ].*", "", word.partition(".")[2]) or word)
    return found


def test_completion_on_layers():
    assert dir(L) == sorted(LAYER_TYPES)
    assert set(completions("L.")) == set(LAYER_TYPES)
    assert "Convolution" in completions("L.Conv")


def test_completion_on_params():
    assert {"Pooling", "Eltwise", "LRN", "Loss"} <= set(completions("P."))
    for name in dir(P):
        enums = getattr(caffe_pb2, f"{name}Parameter").DESCRIPTOR.enum_types
        values = {value.name: value.number for enum in enums for value in enum.values}
        assert values and values.keys() <= set(dir(getattr(P, name)))
        assert all(getattr(getattr(P, name), key) == number for key, number in values.items())
    assert {"MAX", "AVE", "STOCHASTIC"} <= set(dir(P.Pooling))


def test_completion_on_a_net_spec():
    n = NetSpec()
    n.data = L.Input(shape=dict(dim=[1]))
    assert "data" in dir(n) and "to_proto" in dir(n)
    assert repr(n) == "<NetSpec: data>" and repr(n.data) == "<Top 0 of Input>"


@pytest.mark.parametrize("name", sorted(LAYER_TYPES))
def test_every_layer_type_explains_itself(name):
    function = getattr(L, name)
    assert function.__name__ == name and function is getattr(L, name)
    assert function.__doc__.startswith(inspect.cleandoc(LAYER_TYPES[name].__doc__))
    parameters = inspect.signature(function).parameters
    field = f"{name}Parameter"
    own = getattr(caffe_pb2, field).DESCRIPTOR.fields if hasattr(caffe_pb2, field) else []
    for setting in own if name in caffe.net_spec.param_name_dict() else []:
        assert setting.name in parameters and f"{setting.name}: " in function.__doc__
    assert {"bottoms", "ntop", "in_place"} <= parameters.keys()


def test_a_signature_has_the_schema_s_defaults():
    defaults = {p.name: p.default for p in inspect.signature(L.Convolution).parameters.values()}
    assert (defaults["num_output"], defaults["bias_term"], defaults["axis"]) == (None, True, 1)
    assert (defaults["group"], defaults["kernel_size"], defaults["engine"]) == (1, (), "DEFAULT")
    lines = L.Pooling.__doc__.splitlines()
    assert (
        "pool: params.Pooling.MAX or params.Pooling.AVE or params.Pooling.STOCHASTIC = MAX" in lines
    )
    assert "stride: int = 1" in lines
    assert "    kernel_size: int, or a list of them" in L.Deconvolution.__doc__.splitlines()
    assert "eps: float = 1e-05" in L.BatchNorm.__doc__.splitlines()


def test_defaults_as_shown_are_the_layer_s():
    """A layer that states every default is the layer that states none."""
    for name in ("Convolution", "Pooling", "LRN", "Dropout", "Reduction", "InnerProduct"):
        shown = inspect.signature(getattr(L, name)).parameters.values()
        stated = {p.name: p.default for p in shown if p.default not in (None, (), p.empty)}
        made = getattr(L, name)(**stated).to_proto().layer[0]
        field = f"{caffe.net_spec.param_name_dict()[name]}_param"
        for setting, value in getattr(made, field).ListFields():
            assert value == setting.default_value


def test_a_type_that_caffe_does_not_know_still_makes_a_layer():
    assert L.Nope(L.Input()).to_proto().layer[1].type == "Nope"
    assert not hasattr(L, "_repr_html_")  # what a notebook asks for is no layer


def test_types_of_a_user_s_script(tmp_path, monkeypatch):
    """mypy sees the package's types and the messages' stubs."""
    monkeypatch.setenv("MYPYPATH", str(ROOT))
    (tmp_path / "user.py").write_text(SCRIPT)
    options = ["--no-site-packages", "--ignore-missing-imports", "--follow-imports=silent"]
    options += ["--disallow-untyped-calls", "--config-file=", f"--cache-dir={tmp_path}"]
    out, err, _ = api.run([*options, str(tmp_path / "user.py")])
    said = [re.sub(r"^.*user.py:\d+: ", "", line) for line in out.splitlines()]
    assert not err
    assert said[:2] == [
        'note: Revealed type is "int"',
        'note: Revealed type is "caffe.blob.IntVec"',
    ]
    assert said[2].startswith('error: No overload variant of "Net" matches argument type "str"')
    rest = [line for line in said[3:] if line.startswith("error")]
    assert rest == ['error: "Net" has no attribute "set_phase_test"  [attr-defined]']


@pytest.mark.parametrize("package", ["caffe", "fcn"])
def test_the_packages_say_that_they_are_typed(package):
    assert (ROOT / package / "py.typed").is_file()
