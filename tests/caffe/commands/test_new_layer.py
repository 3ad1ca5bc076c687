"""`caffe new_layer`: what it prints is a layer that runs, and says how a prototxt names it."""

import re
import sys

import numpy as np
import pytest

import caffe
from caffe.__main__ import main
from caffe.layer import OWN_TYPES


@pytest.mark.parametrize(
    "name, module",
    [
        ("CenterLoss", "center_loss_layer"),
        ("ROIAlign2D", "roi_align2_d_layer"),
        ("nms", "nms_layer"),
    ],
)
@pytest.mark.parametrize("how", ["registered", "Python"])
def test_the_printed_layer_runs(how, name, module, capsys, net_of, tmp_path, monkeypatch):
    assert main(["new_layer", name]) == 0
    text = capsys.readouterr().out
    (tmp_path / f"{module}.py").write_text(text)
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    monkeypatch.setattr("caffe.python_modules._allowed", {str(tmp_path): None})
    monkeypatch.setitem(OWN_TYPES, name, None)  # for this test
    lines = re.search(r"    layer \{.*?\n    \}", text, re.DOTALL)[0]
    for field, value in (("name", "l"), ("bottom", "x"), ("top", "y")):
        lines = lines.replace(f'{field}: "..."', f'{field}: "{value}"')
    if how == "Python":
        block = re.search(r"\w+_param \{.*\}", lines)[0]
        param = f"module: '{module}' layer: '{name}' param_str: \"{{'factor': 2.0}}\""
        lines = lines.replace(block, f"python_param {{ {param} }}").replace(f'"{name}"', '"Python"')
    else:
        monkeypatch.setenv("CAFFE_LAYERS", module)
    net = net_of(
        'force_backward: true layer { name: "x" type: "Input" top: "x" '
        f"input_param {{ shape {{ dim: 2 dim: 3 }} }} }}\n{lines}",
        caffe.TRAIN,
    )
    net.blobs["x"].data[...] = 1.5
    np.testing.assert_array_equal(net.forward()["y"], np.full((2, 3), 3))
    net.blobs["y"].diff[...] = 1
    np.testing.assert_array_equal(net.backward()["x"], np.full((2, 3), 2))


@pytest.mark.parametrize("name", ["a b", "3D", "class"])
def test_what_is_no_name(name, capsys):
    assert main(["new_layer", name]) == 1
    assert f"a class cannot be called '{name}'" in capsys.readouterr().err
