"""Types and fields that the engine lacks: one error names all of them, and only where they count."""

import pytest

import caffe
from caffe.layer import LAYER_TYPES
from caffe.unknown_layers import ELSEWHERE

DATA = 'layer { name: "d" type: "Input" top: "d" input_param { shape { dim: 1 dim: 2 } } }\n'
LOSSES = """layer { name: "c" type: "CenterLoss" bottom: "d" bottom: "d" top: "c"
  center_loss_param { num_output: 10 center_filler { type: "xavier" } names: ["a", 'b'] x: -1 } }
layer { name: "q" type: "Quux" bottom: "d" top: "q" quux_param < a: "one" "two" > }
"""


def test_one_error_names_all_of_them_with_their_forks(net_of):
    with pytest.raises(ValueError) as caught:
        net_of(DATA + LOSSES)
    assert str(caught.value).splitlines() == [
        "2 layers are of types that are not built in:",
        "  layer 'c' (CenterLoss): caffe-face has it",
        "  layer 'q' (Quux): unknown layer type; no fork known here has it",
        "write such a layer in Python: `caffe new_layer CenterLoss` prints one to fill in, "
        "registered for the type (@caffe.register_layer), so that the prototxt stays as it is",
    ]


def test_of_the_old_format_as_well(net_of):
    text = 'input: "d" input_dim: 1 input_dim: 1 input_dim: 1 input_dim: 1\n'
    text += 'layers { name: "t" type: CENTER_LOSS bottom: "d" top: "t" center_loss_param { a: 1 } }'
    with pytest.raises(ValueError, match=r"layer 't' \(CenterLoss\): caffe-face has it"):
        net_of(text)


def test_another_phase_does_not_care(net_of):
    rule = "include { phase: TRAIN }"
    text = DATA + LOSSES.replace('top: "c"', f'top: "c" {rule}').replace(
        'top: "q"', f'top: "q" {rule}'
    )
    assert list(net_of(text).blobs) == ["d"]
    with pytest.raises(ValueError, match="2 layers"):
        net_of(text, caffe.TRAIN)


def test_a_field_of_a_known_layer_is_named_with_its_place(net_of):
    text = (
        DATA + 'layer { name: "r" type: "ReLU" bottom: "d" top: "r"\n  relu_param { slope: 1 } }\n'
    )
    text += 'layer { name: "s" type: "TanH" bottom: "r" top: "s" tanh_param { engine: FAST } }'
    with pytest.raises(ValueError) as caught:
        net_of(text)
    found = str(caught.value)
    assert (
        "layer 'r' (ReLU): " in found
        and "net.prototxt:3:16: ReLUParameter has no field 'slope'" in found
    )
    assert (
        "layer 's' (TanH): " in found
        and "'engine' is one of DEFAULT, CAFFE, CUDNN, got FAST" in found
    )


@pytest.mark.parametrize(
    "field, said",
    [
        ("quantization_param { bw: 8 }", "has no field 'quantization_param'; Ristretto has it"),
        ("center_loss_param { a: 1 }", "has no field 'center_loss_param'; caffe-face has it"),
        (
            "relu_param { forward_type: 1 }",
            "ReLUParameter has no field 'forward_type'; NVCaffe has",
        ),
        ("blobs_lr: 1", "'blobs_lr'; of the old format, today param { lr_mult: ... }"),
        ("relu_parm { }", "has no field 'relu_parm'; did you mean 'relu_param'?"),
        ("my_param { }", "has no field 'my_param'\ntake them out"),
    ],
)
def test_a_fork_s_field_names_the_fork(field, said, net_of):
    with pytest.raises(ValueError) as caught:
        net_of(f'{DATA} layer {{ name: "r" type: "ReLU" bottom: "d" top: "r" {field} }}')
    assert said in str(caught.value)
    assert str(caught.value).endswith(
        "registered for the type (@caffe.register_layer), is given them"
    )


def test_outside_of_layers_nothing_is_passed_over(net_of):
    with pytest.raises(ValueError, match=r"net\.prototxt:1:1: NetParameter has no field 'nam'"):
        net_of('nam: "n"\n' + DATA)


def test_tools_that_rewrite_a_net_refuse_what_they_would_lose(tmp_path):
    path = tmp_path / "n.prototxt"
    path.write_text(DATA + LOSSES)
    with pytest.raises(ValueError, match="LayerParameter has no field 'center_loss_param'"):
        caffe.net.read.read_net(path)


def test_a_net_within_a_solver(tmp_path):
    path = tmp_path / "solver.prototxt"
    path.write_text(f"net_param {{ {DATA} {LOSSES} }} base_lr: 1 lr_policy: 'fixed' max_iter: 1")
    with pytest.raises(ValueError, match=r"layer 'c' \(CenterLoss\): caffe-face has it"):
        caffe.get_solver(str(path))


def test_what_is_built_in_is_not_said_to_be_elsewhere():
    assert not ELSEWHERE.keys() & LAYER_TYPES.keys()
    assert list(ELSEWHERE) == sorted(ELSEWHERE, key=str)
