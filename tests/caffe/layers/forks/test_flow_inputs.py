"""FlowNet2's DataAugmentation and Accum."""

import numpy as np
import pytest
from gradient_check import Case, Layers, build, check_gradient, check_reference

import caffe

AUGMENTATION = 'type: "DataAugmentation" augmentation_param {{ {} }}'
ACCUM = 'type: "Accum" accum_param {{ {} }}'


def less_mean(per_pixel):
    """After a pass more than the blobs tell of."""

    def reference(bottoms, params):
        count, pixels, _ = params
        mean = (count * pixels + bottoms[0].mean(0, keepdims=True)) / (count + 1)
        return bottoms[0] - (mean if per_pixel else mean.mean((2, 3), keepdims=True))

    return reference


def middle(bottoms, params):
    """Three rows of five, from the second; three columns of six, from between the second and third."""
    x = bottoms[0][:, :, 1:4]
    return (x[..., 1:4] + x[..., 2:5]) / 2


def enlarged(height, width, count=None):
    def reference(bottoms, params):
        parts = []
        for x in bottoms[:count]:
            y = np.zeros((*x.shape[:2], height, width))
            for i, j in np.ndindex(height, width):
                h = i * (x.shape[2] - 1) / (height - 1)
                w = j * (x.shape[3] - 1) / (width - 1)
                for r, c in np.ndindex(x.shape[2:]):
                    share = max(0, 1 - abs(h - r)) * max(0, 1 - abs(w - c))
                    y[:, :, i, j] += share * x[:, :, r, c]
            parts.append(y)
        return np.concatenate(parts, 1)

    return reference


PICTURES = [(2, 3, 5, 6)]
MAPS = [(1, 2, 3, 4), (1, 1, 2, 2)]
CASES = [
    Case(AUGMENTATION.format(""), PICTURES, lambda b, p: b[0], gradients=[]),
    Case(AUGMENTATION.format("recompute_mean: 9"), PICTURES, less_mean(True), gradients=[]),
    Case(
        AUGMENTATION.format("recompute_mean: 9 mean_per_pixel: false"),
        PICTURES,
        less_mean(False),
        gradients=[],
    ),
    Case(
        AUGMENTATION.format("mean: [1, 2, 3] mean_per_pixel: false"),
        PICTURES,
        lambda b, p: b[0] - np.array([1, 2, 3])[:, None, None],
        gradients=[],
    ),
    Case(AUGMENTATION.format("crop_height: 3 crop_width: 3"), PICTURES, middle, gradients=[]),
    Case(
        'type: "Eltwise" bottom: "b0" eltwise_param { coeff: 0.5 }', PICTURES, lambda b, p: b[0] / 2
    ),
    Case(
        'type: "Eltwise" bottom: "b0" eltwise_param { operation: MAX }', PICTURES, lambda b, p: b[0]
    ),
    Case(ACCUM.format(""), MAPS, enlarged(3, 4)),
    Case(ACCUM.format("top_height: 5 top_width: 7"), MAPS, enlarged(5, 7)),
    Case(ACCUM.format("top_height: 5 top_width: 4"), MAPS, enlarged(3, 4)),
    Case(ACCUM.format("size_divisible_by: 5"), MAPS, enlarged(5, 5)),
    Case(ACCUM.format("have_reference: true"), [*MAPS, (1, 9, 4, 6)], enlarged(4, 6, 2)),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_reference_and_gradient(case):
    check_reference(case)
    check_gradient(case)


def test_the_mean_is_that_of_the_first_passes():
    layers = Layers(AUGMENTATION.format("recompute_mean: 2"), [(1, 1, 1, 2)], phase=caffe.TEST)
    found = []
    for values in ([2, 4], [6, 0], [9, 9]):
        layers.bottom[0].data[...] = values
        found.append(layers.forward()[0].ravel().tolist())
    assert found == [[0, 0], [2, -2], [5, 7]]
    assert [blob.data.ravel().tolist() for blob in layers.params] == [[3], [4, 2], [3]]
    assert all(spec.lr_mult == 0 for spec in layers.layer.layer_param.param)


@pytest.mark.parametrize("per_pixel", [False, True])
def test_weights_of_nets_for_pictures_of_another_size(net_of, tmp_path, per_pixel):
    """Published nets hold the mean of each pixel of what they were trained on."""

    def net(side):
        shape = f"input_param {{ shape {{ dim: 1 dim: 3 dim: {side} dim: 4 }} }}"
        text = f'layer {{ name: "data" type: "Input" top: "data" {shape} }}\n'
        settings = f"recompute_mean: 1 mean_per_pixel: {str(per_pixel).lower()}"
        body = AUGMENTATION.format(settings)
        return net_of(f'{text}layer {{ name: "aug" {body} bottom: "data" top: "y" }}')

    trained, other = net(4), net(6)
    for blob, value in zip(trained.params["aug"], (5, 0.25, 0.25)):
        blob.data[...] = value
    trained.save(str(tmp_path / "w.caffemodel"))
    if per_pixel:
        with pytest.raises(ValueError, match=r"'aug' \(DataAugmentation\): parameter 1 has shape"):
            other.copy_from(str(tmp_path / "w.caffemodel"))
        return
    report = other.copy_from(str(tmp_path / "w.caffemodel"), report=True)
    assert report.copied == ["aug"] and not report.coerced
    assert (other.forward()["y"] == -0.25).all()


@pytest.mark.parametrize(
    "settings, phase",
    [
        ("rotate { spread: 0.4 }", caffe.TRAIN),
        ("augment_during_test: true rotate { spread: 0.4 }", caffe.TEST),
    ],
)
def test_random_transformations_are_refused(settings, phase):
    with pytest.raises(NotImplementedError, match="random transformations.*rotate.*Python layer"):
        Layers(AUGMENTATION.format(settings), PICTURES, phase=phase)
    with pytest.raises(NotImplementedError, match="a second bottom or top"):
        Layers(AUGMENTATION.format(""), PICTURES, tops=2)
    Layers(AUGMENTATION.format("rotate { spread: 0.4 }"), PICTURES, phase=caffe.TEST)


@pytest.mark.parametrize(
    "text, shapes, message",
    [
        (AUGMENTATION.format("crop_height: 6 crop_width: 2"), PICTURES, "lie within a picture of"),
        (
            AUGMENTATION.format("mean: [1, 2, 3] mean_per_pixel: false"),
            [(1, 1, 2, 2)],
            "mean holds 3 numbers, the pictures have 1 channels",
        ),
        (ACCUM.format(""), [(1, 2, 3, 4), (2, 2, 3, 4)], "as many items each"),
        (ACCUM.format("have_reference: true"), [(1, 2, 3, 4)], "needs maps"),
    ],
)
def test_mistakes(text, shapes, message):
    with pytest.raises(ValueError, match=message):
        Layers(text, shapes)


def test_pictures_have_no_gradient():
    with pytest.raises(NotImplementedError, match="has no gradient"):
        build(AUGMENTATION.format("")).backward([], [True], [])
