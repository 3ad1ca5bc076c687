"""The upgrade commands write what Caffe's write."""

import pytest
from places import GOLDEN

from caffe.__main__ import main


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("v0/net.prototxt", "v0/upgraded.prototxt", 1),
        ("v0/data_layers.prototxt", "v0/data_layers_upgraded.prototxt", 1),
        ("v0/net.caffemodel", "v0/upgraded.caffemodel", 1),
        ("v1/net.prototxt", "v1/upgraded.prototxt", 0),
        ("v1/features.prototxt", "v1/features_upgraded.prototxt", 0),
        ("v1/net.caffemodel", "v1/upgraded.caffemodel", 0),
        ("transform/v1.prototxt", "transform/v1_upgraded.prototxt", 0),
        ("transform/v2.prototxt", "transform/v2_upgraded.prototxt", 0),
        ("batchnorm/three_params.prototxt", "batchnorm/three_params_upgraded.prototxt", 0),
        ("batchnorm/net.caffemodel", "batchnorm/upgraded.caffemodel", 0),
        ("inputs/input_dim.prototxt", "inputs/input_dim_upgraded.prototxt", 0),
        ("inputs/input_with_v1.prototxt", "inputs/input_with_v1_upgraded.prototxt", 0),
    ],
)
def test_upgraded_nets_are_caffe_s_to_the_byte(old, new, code):
    command = "upgrade_net_proto_" + ("text" if old.endswith("prototxt") else "binary")
    assert main([command, str(GOLDEN / "formats" / old), "out"]) == code
    with open("out", "rb") as got:
        assert got.read() == (GOLDEN / "formats" / new).read_bytes()


def test_upgraded_solver(capfd):
    old = GOLDEN / "solvers" / "old_solver_type_enum" / "solver.prototxt"
    assert main(["upgrade_solver_proto_text", str(old), "new"]) == 0
    with open("new") as file:
        assert 'type: "Nesterov"' in (text := file.read())
    assert "solver_type" not in text
    assert main(["upgrade_solver_proto_text", "new", "newer"]) == 0
    assert "Solver already in latest proto format: new" in capfd.readouterr().err
    with open("newer") as file:
        assert file.read() == text
