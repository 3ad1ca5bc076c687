"""Softmax and the losses."""

import numpy as np
import pytest
import reference
from gradient_check import Case, Layers, check_gradient, check_reference

import caffe
from caffe.proto import caffe_pb2

GENERATOR = np.random.default_rng(3)
LABEL = np.array([1, 0, 2, 2])
MAP = np.array([[[0, 1, 2], [255, 2, 0]], [[1, 1, 255], [0, 2, 1]]])
TARGET = np.array([[0, 1, 0.3], [1, -1, 0.7]])
MATRIX = GENERATOR.uniform(0.1, 1, (3, 3))
SIMILAR = np.array([1, 0, 0, 1])


def softmax_loss(text, divide=None, ignore=255):
    return Case(
        f'type: "SoftmaxWithLoss" loss_param {{ ignore_label: 255 {text} }}',
        [(2, 3, 2, 3), (2, 2, 3)],
        lambda bottoms, params: reference.softmax_loss(*bottoms, ignore=ignore, divide=divide),
        values={1: MAP},
    )


def sigmoid_loss(text, ignore=None, divide=None):
    return Case(
        f'type: "SigmoidCrossEntropyLoss" {text}',
        [(2, 3), (2, 3)],
        lambda bottoms, params: reference.sigmoid_loss(*bottoms, ignore=ignore, divide=divide),
        values={1: TARGET.clip(min=0) if ignore is None else TARGET},
    )


def infogain(text="", ignore=None):
    return Case(
        f'type: "InfogainLoss" {text}',
        [(4, 3), (4,), (3, 3)],
        lambda bottoms, params: reference.infogain_loss(*bottoms, ignore=ignore),
        values={1: LABEL, 2: MATRIX},
        gradients=[0],
    )


def hinge(text, power):
    return Case(
        f'type: "HingeLoss" {text}',
        [(4, 3), (4,)],
        lambda bottoms, params: reference.hinge_loss(*bottoms, power=power),
        values={1: LABEL},
        low=-2,
        high=2,
    )


def contrastive(text="", **options):
    options = {"margin": 1.0, **options}
    return Case(
        f'type: "ContrastiveLoss" {text}',
        [(4, 2), (4, 2), (4,)],
        lambda bottoms, params: reference.contrastive_loss(*bottoms, **options),
        values={2: SIMILAR},
    )


CASES = [
    *(
        Case(
            f'type: "Softmax" softmax_param {{ axis: {axis} }}',
            [(2, 3, 4)],
            lambda bottoms, params, axis=axis: reference.softmax(bottoms[0], axis),
        )
        for axis in (0, 1, -1)
    ),
    Case(
        'type: "EuclideanLoss"',
        [(3, 2, 2), (3, 4)],
        lambda bottoms, params: ((bottoms[0].ravel() - bottoms[1].ravel()) ** 2).sum() / 6,
    ),
    softmax_loss(""),
    softmax_loss("normalization: FULL", divide=12),
    softmax_loss("normalization: BATCH_SIZE", divide=2),
    softmax_loss("normalization: NONE", divide=1),
    softmax_loss("normalize: false", divide=2),
    softmax_loss("normalize: true"),
    softmax_loss("normalize: false normalization: FULL", divide=12),
    Case(
        'type: "SoftmaxWithLoss" softmax_param { axis: -1 }',
        [(2, 2, 3), (2, 2)],
        lambda bottoms, params: reference.softmax_loss(bottoms[0].reshape(4, 3), LABEL),
        values={1: LABEL.reshape(2, 2)},
    ),
    Case(
        'type: "MultinomialLogisticLoss"',
        [(4, 3), (4,)],
        lambda bottoms, params: -np.log(bottoms[0][range(4), LABEL]).sum() / 4,
        values={1: LABEL},
        low=0.1,
        high=0.9,
    ),
    sigmoid_loss("", divide=2),
    sigmoid_loss("loss_param { normalization: VALID ignore_label: -1 }", ignore=-1),
    sigmoid_loss("loss_param { normalization: FULL ignore_label: -1 }", ignore=-1, divide=6),
    sigmoid_loss("loss_param { normalize: true ignore_label: 0 }", ignore=0),
    infogain(),
    infogain("loss_param { ignore_label: 2 }", ignore=2),
    hinge("", power=1),
    hinge("hinge_loss_param { norm: L2 }", power=2),
    contrastive(),
    contrastive(
        "contrastive_loss_param { margin: 1.5 legacy_version: true }", margin=1.5, legacy=True
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_reference(case):
    check_reference(case)


@pytest.mark.parametrize("case", [c for c in CASES if "Contrastive" not in c.text], ids=str)
def test_gradient(case):
    check_gradient(case)


def test_contrastive_gradient():
    """Caffe divides the gradient of dissimilar pairs, not their loss, by distance + 1e-4."""
    check_gradient(CASES[-2], tolerance=2e-4)
    check_gradient(CASES[-1])


def run(text, scores, labels, device="cpu"):
    scores, labels = np.array(scores, np.float32), np.array(labels, np.float32)
    layer = Layers(text, [scores.shape, labels.shape])
    layer.bottom[0].data[...], layer.bottom[1].data[...] = scores, labels
    layer.top[0].diff[...] = 1
    return layer


@pytest.mark.parametrize("kind", ["SoftmaxWithLoss", "MultinomialLogisticLoss", "HingeLoss"])
@pytest.mark.parametrize("label", [3, 7, -1])
def test_label_out_of_range(kind, label, device):
    layer = run(f'type: "{kind}"', [[0.5, 0.2, 0.3]], [label])
    wanted = (
        f"layer 'l' \\({kind}\\): label {label} is out of range: 3 classes allow 0..2.*ignore_label"
    )
    with pytest.raises(ValueError, match=wanted):
        layer.forward()


def test_ignored_labels_may_be_out_of_range_and_others_not():
    text = 'type: "SoftmaxWithLoss" loss_param { ignore_label: 255 }'
    assert run(text, [[0, 0]] * 2, [0, 255]).forward()[0] == pytest.approx(np.log(2))
    with pytest.raises(ValueError, match="label 254 is out of range.*it is 255"):
        run(text, [[0, 0]] * 3, [0, 255, 254]).forward()


def test_nothing_but_ignored_labels():
    layer = run('type: "SoftmaxWithLoss" loss_param { ignore_label: 9 }', [[1, 2], [3, 4]], [9, 9])
    assert layer.forward()[0] == 0
    layer.backward([True, False])
    assert not layer.bottom[0].diff.any()


def test_labels_are_truncated_towards_zero():
    layer = run('type: "SoftmaxWithLoss"', [[3, 1, 1], [3, 1, 1]], [0.9, -0.9])
    assert layer.forward()[0] == pytest.approx(np.log(1 + 2 * np.exp(-2)), rel=1e-6)


def test_a_vanishing_probability_costs_87_but_keeps_its_gradient():
    layer = run('type: "SoftmaxWithLoss"', [[200, 0]], [1])
    assert layer.forward()[0] == pytest.approx(87.3365, abs=1e-4)
    layer.backward([True, False])
    np.testing.assert_allclose(layer.bottom[0].diff, [[1, -1]])


def test_each_ignored_position_changes_nothing_but_itself():
    """Ignoring one position in turn gives the loss and the gradient of the others alone."""
    scores = GENERATOR.normal(size=(4, 3))
    text = 'type: "SoftmaxWithLoss" loss_param { ignore_label: 255 }'
    for i in range(4):
        kept = [k for k in range(4) if k != i]
        whole, part = (
            run(text, scores, np.where(np.arange(4) == i, 255, LABEL)),
            run(text, scores[kept], LABEL[kept]),
        )
        np.testing.assert_allclose(whole.forward()[0], part.forward()[0], rtol=1e-6)
        for layer in (whole, part):
            layer.backward([True, False])
        np.testing.assert_allclose(whole.bottom[0].diff[kept], part.bottom[0].diff, rtol=1e-5)
        assert not whole.bottom[0].diff[i].any()


@pytest.mark.parametrize(
    "text, shapes, message",
    [
        ('type: "SoftmaxWithLoss"', [(2, 3, 4, 5), (2,)], "40 labels are needed.*that is 2$"),
        (
            'type: "SoftmaxWithLoss"',
            [(1, 3, 6, 6), (1, 1, 4, 5)],
            "a Crop of the scores to the size of the data is missing",
        ),
        (
            'type: "SoftmaxWithLoss"',
            [(1, 3, 4, 4), (1, 1, 8, 8)],
            "the scores are smaller: an upsampling is missing",
        ),
        ('type: "SoftmaxWithLoss"', [(1, 3, 4, 4), (1, 3, 4, 4)], "3 channels of labels look like"),
        ('type: "SoftmaxWithLoss"', [(2, 3), (3,)], "one first dimension"),
        (
            'type: "SoftmaxWithLoss" softmax_param { axis: 4 }',
            [(2, 3), (2,)],
            "axis 4 out of range",
        ),
        ('type: "EuclideanLoss"', [(2, 3), (2,)], "as many values"),
        ('type: "EuclideanLoss"', [(1, 1, 1, 1, 1)] * 2, "at most four axes"),
        ('type: "SigmoidCrossEntropyLoss"', [(2, 3), (2, 2)], "one target for each score"),
        ('type: "ContrastiveLoss"', [(2, 3), (2, 4), (2,)], "two bottoms of shape \\(N, C\\)"),
        ('type: "ContrastiveLoss"', [(2, 3), (2, 3), (2, 2)], "each of 2 pairs"),
        ('type: "InfogainLoss"', [(2, 3), (2,), (2, 3)], "3 x 3 values, it has 6"),
        (
            'type: "InfogainLoss" loss_param { normalize: true }',
            [(2, 3), (2,), (3, 3)],
            "normalize",
        ),
        ('type: "InfogainLoss"', [(2, 3), (2,)], "infogain matrix is needed"),
        (
            'type: "InfogainLoss" infogain_loss_param { source: "no" }',
            [(2, 3), (2,)],
            "Could not open file no",
        ),
    ],
)
def test_bad_settings(text, shapes, message):
    with pytest.raises(ValueError, match=f"layer 'l' .*{message}"):
        Layers(text, shapes)


@pytest.mark.parametrize("field", ["data", "double_data"])
def test_infogain_matrix_from_a_file(field, tmp_path):
    path = tmp_path / "matrix.binaryproto"
    proto = caffe_pb2.BlobProto(shape=caffe_pb2.BlobShape(dim=[3, 3]), **{field: MATRIX.ravel()})
    path.write_bytes(proto.SerializeToString())
    layer = run(
        f'type: "InfogainLoss" infogain_loss_param {{ source: "{path}" }}', np.eye(4, 3), LABEL
    )
    wanted = reference.infogain_loss(np.eye(4, 3), LABEL, MATRIX)
    assert layer.forward()[0] == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("weights", [(1.0, 3.0, 0.5), (0.0, 1.0, 1.0)])
def test_a_diagonal_infogain_matrix_weights_the_classes(weights, tmp_path):
    path = tmp_path / "weights.binaryproto"
    path.write_bytes(caffe.io.array_to_blobproto(np.diag(weights)[None, None]).SerializeToString())
    scores = GENERATOR.normal(size=(2, 3, 2, 3))
    text = f'infogain_loss_param {{ source: "{path}" }} loss_param {{ ignore_label: 255 }}'
    layer = run(f'type: "InfogainLoss" {text}', scores, MAP)
    each = -np.log(np.exp(scores) / np.exp(scores).sum(1, keepdims=True))
    wanted = [weights[k] * each[i, k, y, x] for (i, y, x), k in np.ndenumerate(MAP) if k != 255]
    assert layer.forward()[0] == pytest.approx(np.mean(wanted), rel=1e-5)


@pytest.mark.parametrize("kind", ["SoftmaxWithLoss", "HingeLoss", "SigmoidCrossEntropyLoss"])
def test_labels_get_no_gradient(kind):
    layer = run(f'type: "{kind}"', [[1.0]], [[0.0]])
    assert not layer.layer.allow_force_backward(1)
    layer.forward()
    with pytest.raises(NotImplementedError, match="gradient to bottom 1"):
        layer.backward([True, True])
