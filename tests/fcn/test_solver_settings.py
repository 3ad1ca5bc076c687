"""--set: fields of a solver, by their names and kinds."""

import pytest

from caffe.proto import caffe_pb2
from fcn.solver_settings import set_fields


def changed(*wanted):
    settings = caffe_pb2.SolverParameter(base_lr=1, momentum=0.5, stepvalue=[1, 2, 3])
    set_fields(settings, wanted)
    return settings


def test_fields_of_every_kind():
    found = changed(
        *(
            "base_lr=1e-10",
            "momentum=.9",
            "max_iter=7",
            "lr_policy=multistep",
            "stepvalue=800,1000",
        ),
        *("test_initialization=true", "solver_mode=CPU", 'snapshot_prefix=a "b"'),
    )
    assert (found.base_lr, found.momentum) == (pytest.approx(1e-10), pytest.approx(0.9))
    assert list(found.stepvalue) == [800, 1000] and found.lr_policy == "multistep"
    assert found.max_iter == 7 and found.test_initialization and found.solver_mode == 0
    assert found.snapshot_prefix == 'a "b"'
    assert list(changed("stepvalue=9").stepvalue) == [9]


@pytest.mark.parametrize(
    "text, said",
    [
        ("base_lr=abc", "base_lr takes a number, such as 1e-10, and not 'abc'"),
        ("base_lr=", "base_lr takes a number, such as 1e-10, and not ''"),
        ("base_lr=1 momentum: 3", "base_lr takes a number, such as 1e-10, and not '1 momentum: 3'"),
        ("max_iter=1.5", "max_iter takes a whole number below 2^31, and not '1.5'"),
        ("max_iter=3000000000", "max_iter takes a whole number below 2^31, and not '3000000000'"),
        ("stepvalue=1,x", "stepvalue takes a whole number below 2^31, and not '1,x'"),
        ("test_initialization=no", "test_initialization takes true or false, and not 'no'"),
        ("solver_mode=TPU", "solver_mode takes one of CPU, GPU, and not 'TPU'"),
        ("net_param={", "net_param takes a message, which solver.prototxt alone can state"),
        ("base_lr", "give a field and its value"),
        ("lr=3", "no field 'lr' of a solver; did you mean base_lr?"),
        ("Base_LR=3", "did you mean base_lr?"),
    ],
)
def test_what_is_no_field_or_no_value(text, said):
    with pytest.raises(ValueError) as raised:
        changed(text)
    assert str(raised.value).startswith(f"--set {text}: ") and said in str(raised.value)
    assert "1:1" not in str(raised.value)
