"""NetSpec, layers, params, to_proto: pycaffe's behaviour, recorded and as its own tests say."""

import copy
import json
import re

import numpy as np
import pytest
from google.protobuf import text_format
from places import GOLDEN

import caffe.build  # noqa: F401  the types, which say which blocks they read
from caffe.net_spec import NetSpec, assign_proto, param_name_dict, to_proto
from caffe.net_spec import layers as L
from caffe.net_spec import params as P
from caffe.proto import caffe_pb2

RULES = json.loads((GOLDEN / "rules.json").read_text())
FACTS = {row["id"]: row for section in ("errors", "pycaffe") for row in RULES[section]["rows"]}


def _recorded(fact):
    """As a message: protobuf's releases print floats differently (1 and 1.0)."""
    return text_format.Parse(FACTS[fact]["result"], caffe_pb2.NetParameter())


def _data():
    n = NetSpec()
    n.d = L.Input(shape=dict(dim=[1, 2]))
    return n


def test_text_of_a_net_is_pycaffes():
    n = NetSpec()
    n.data, n.label = L.DummyData(shape=[dict(dim=[1, 2, 4, 4]), dict(dim=[1])], ntop=2)
    rates = [dict(lr_mult=1), dict(lr_mult=2)]
    xavier = dict(type="xavier")
    n.conv = L.Convolution(n.data, num_output=2, kernel_size=3, weight_filler=xavier, param=rates)
    n.relu = L.ReLU(n.conv, in_place=True)
    n.pool = L.Pooling(n.relu, pool=P.Pooling.AVE, kernel_size=2)
    scores = L.InnerProduct(n.pool, num_output=3)
    n.loss = L.SoftmaxWithLoss(scores, n.label, loss_param=dict(normalize=False))
    n.sil = L.Silence(n.label, ntop=0)
    assert n.to_proto() == _recorded("net_spec_text")


def test_automatic_names_are_pycaffes():
    a = L.TanH(L.Input(shape=dict(dim=[1, 2])))
    c = L.TanH(a)
    assert to_proto(c, a) == _recorded("to_proto_autonames")
    assert c.to_proto() == to_proto(c)


def test_unknown_layer_type_passes():
    n = _data()
    n.x = L.Nope(n.d)
    assert n.to_proto() == _recorded("spec_unknown_layer")


def test_in_place_layer_writes_its_bottom_and_keeps_its_name():
    n = _data()
    n.ip = L.InnerProduct(n.d, num_output=4)
    n.relu = L.ReLU(n.ip, in_place=True)
    n.out = L.InnerProduct(n.relu, num_output=1)
    relu, out = n.to_proto().layer[2:]
    assert (relu.name, list(relu.bottom), list(relu.top)) == ("relu", ["ip"], ["ip"])
    assert list(out.bottom) == ["ip"]


def test_several_tops_and_topless_layers():
    n = NetSpec()
    n.data, n["data2"] = L.DummyData(shape=dict(dim=3), ntop=2)
    n.quiet = L.Silence(n.data, ntop=0)
    L.Silence(n.data2, ntop=0)  # never assigned: no part of the net
    both = n.to_proto().layer
    assert [(x.name, list(x.bottom), list(x.top)) for x in both] == [
        ("data", [], ["data", "data2"]),
        ("quiet", ["data"], []),
    ]
    assert n.keys() == ["data", "data2", "quiet"] and n.vals()[1] is n["data2"]


def test_settings_of_the_layer_itself_and_of_its_type():
    n = _data()
    n.x = L.Scale(n.d, bias_term=True, include=dict(phase=0, stage="a"), loss_weight=2, name="own")
    n.y = L.Python(n.x, module="m", layer="C", param_str="{}", propagate_down=[False])
    n.update("x", dict(axis=0))
    x, y = n.to_proto().layer[1:]
    assert (x.name, x.scale_param.bias_term, x.scale_param.axis) == ("own", True, 0)
    assert list(x.loss_weight) == [2] and list(x.include[0].stage) == ["a"]
    assert (y.python_param.layer, list(y.propagate_down)) == ("C", [False])


def test_numpy_values_and_tuples_are_taken():
    n = _data()
    n.x = L.Convolution(n.d, kernel_size=np.array([3, 5]), num_output=np.int64(4), pad=(1, 2))
    setting = n.to_proto().layer[1].convolution_param
    assert list(setting.kernel_size) == [3, 5] and list(setting.pad) == [1, 2]
    assert setting.num_output == 4


def test_param_names_of_types():
    names = param_name_dict()
    some = dict(InnerProduct="inner_product", PReLU="prelu", HDF5Data="hdf5_data", Loss="loss")
    assert some.items() <= names.items()
    assert P.Data.LMDB == 1 and P.Pooling.AVE == 1 and P.Eltwise.SUM == 1


def test_assign_proto_nested():
    layer = caffe_pb2.LayerParameter()
    assign_proto(layer, "param", [dict(name="w", lr_mult=0.5), dict(decay_mult=0)])
    assign_proto(layer, "crop_param", dict(offset=3, axis=1))
    assert layer.param[0].name == "w" and layer.param[1].decay_mult == 0
    assert list(layer.crop_param.offset) == [3] and layer.crop_param.axis == 1


def _raised(make):
    n = _data()
    with pytest.raises(Exception) as caught:
        make(n)
        n.to_proto()
    return caught.value


WRONG = {
    "spec_input_not_top": lambda n: L.TanH("data"),
    "spec_unknown_param": lambda n: setattr(n, "x", L.TanH(n.d, nope=1)),
    "spec_wrong_value_type": lambda n: setattr(n, "x", L.InnerProduct(n.d, num_output="many")),
    "spec_unknown_enum": lambda n: P.Pooling.NOPE,
    "spec_unknown_top": lambda n: n.nope,
}


@pytest.mark.parametrize("fact", WRONG)
def test_mistakes_raise_pycaffes_types(fact):
    row, error = FACTS[fact], _raised(WRONG[fact])
    assert row["type"] in [kind.__name__ for kind in type(error).__mro__]
    if fact != "spec_wrong_value_type":  # its wording is protobuf's, and differs between releases
        assert row["message"].strip("'") in str(error)


@pytest.mark.parametrize(
    "make, kind, says",
    [
        (lambda n: L.TanH((n.d, n.d)), TypeError, "TanH input 0 is not a Top .*tuple"),
        (
            lambda n: setattr(n, "x", L.Convolution(n.d, kernelsize=3)),
            AttributeError,
            r"layer 'x' \(Convolution\): no field 'kernelsize' .* did you mean 'kernel_size'",
        ),
        (
            lambda n: setattr(n, "x", L.Convolution(n.d, weight_filler=dict(tipe="a"))),
            AttributeError,
            r"layer 'x' \(Convolution\): weight_filler: no field 'tipe' in FillerParameter",
        ),
        (
            lambda n: setattr(n, "x", L.InnerProduct(n.d, num_output=[1, 2])),
            TypeError,
            "num_output takes one value",
        ),
        (
            lambda n: setattr(n, "x", L.InnerProduct(n.d, weight_filler="xavier")),
            TypeError,
            "weight_filler takes a dict of FillerParameter",
        ),
        (lambda n: setattr(n, "x", L.Slice(n.d, ntop=2)), TypeError, "'x' is .*tuple.* not a Top"),
        (lambda n: n.nope, KeyError, "'nope': no such top; assigned so far: d"),
    ],
)
def test_mistakes_say_what_and_where(make, kind, says):
    error = _raised(make)
    assert isinstance(error, kind)
    assert re.search(says, str(error)), error


def test_a_spec_can_be_copied_and_asked():
    n = _data()
    assert hasattr(n, "d") and not hasattr(n, "nope")
    again = copy.copy(n)
    assert again.keys() == ["d"]


def test_a_setting_of_a_block_with_another_name_is_said_with_it():
    data = L.Input(shape=dict(dim=[1, 2, 8, 8]))
    for function, settings, said in (
        ("Deconvolution", {"num_output": 3}, "write convolution_param=dict(num_output=3)"),
        ("SoftmaxWithLoss", {"ignore_label": 255}, "write loss_param=dict(ignore_label=255)"),
        ("ImageData", {"mean_value": 1}, "write transform_param=dict(mean_value=1)"),
        ("LSTM", {"num_output": 3}, "write recurrent_param=dict(num_output=3)"),
    ):
        with pytest.raises(AttributeError) as caught:
            to_proto(getattr(L, function)(data, **settings))
        assert said in str(caught.value) and f"({function})" in str(caught.value)
