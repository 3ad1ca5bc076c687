"""Upsample with a mask and by repetition."""

import numpy as np
import pytest
from gradient_check import Case, Layers, build, check_gradient, check_reference

MASKED = 'type: "Upsample" bottom: "x" bottom: "mask" upsample_param {{ {} }}'
MASK = np.array([[[[0, 3], [9, 14]], [[5, 2], [8, 11]]]])


def at_places(height, width):
    def reference(bottoms, params):
        y = np.zeros((1, 2, height * width))
        for channel in range(2):
            y[0, channel, MASK[0, channel].ravel()] = bottoms[0][0, channel].ravel()
        return y.reshape(1, 2, height, width)

    return reference


def masked(settings, height, width):
    return Case(
        MASKED.format(settings), [(1, 2, 2, 2)] * 2, at_places(height, width), values={1: MASK}
    )


CASES = [
    masked("", 4, 4),
    masked("upsample_h: 3 upsample_w: 5", 3, 5),
    masked("scale: 3", 6, 6),
    masked("scale_h: 2 scale_w: 4", 4, 8),
    masked("pad_out_h: true scale_h: 2 scale_w: 4", 3, 8),
    Case(
        'type: "Upsample" upsample_param { scale: 3 }',
        [(2, 2, 2, 3)],
        lambda bottoms, params: bottoms[0].repeat(3, 2).repeat(3, 3),
    ),
    Case('type: "Upsample"', [(1, 2, 3)], lambda b, p: b[0][..., None].repeat(2, 2).repeat(2, 3)),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_reference_and_gradient(case):
    check_reference(case)
    check_gradient(case)


def test_it_undoes_a_pooling(net_of):
    net = net_of("""layer { name: "x" type: "Input" top: "x" input_param { shape { dim: [1, 2, 5, 7] } } }
    layer { name: "p" type: "Pooling" bottom: "x" top: "p" top: "mask"
      pooling_param { kernel_size: 2 stride: 2 } }
    layer { name: "u" type: "Upsample" bottom: "p" bottom: "mask" top: "u"
      upsample_param { upsample_h: 5 upsample_w: 7 } }""")
    x = np.random.default_rng(0).uniform(1, 2, (1, 2, 5, 7))
    net.blobs["x"].data[...] = x
    y = net.forward()["u"]
    assert np.count_nonzero(y) == 2 * 3 * 4
    np.testing.assert_allclose(y[y > 0], x[y > 0], rtol=1e-6)


def test_a_place_outside_the_plane(device):
    run = Layers(MASKED.format(""), [(1, 1, 2, 2)] * 2)
    run.bottom[1].data[...] = 16
    with pytest.raises(ValueError, match=r"places (0|16)\.\.16, a plane of the top has 0\.\.15"):
        run.forward()


@pytest.mark.parametrize(
    "text, shapes, says",
    [
        (MASKED.format("upsample_h: 4"), [(1, 1, 2, 2)] * 2, "both upsample_h and upsample_w"),
        (MASKED.format("scale: 1"), [(1, 1, 2, 2)] * 2, "2 or more"),
        (MASKED.format("scale: 3 pad_out_h: true"), [(1, 1, 2, 2)] * 2, "go with scale 2"),
        (MASKED.format(""), [(1, 1, 2, 2), (1, 1, 2, 3)], "one shape"),
        ('type: "Upsample" upsample_param { scale: 0 }', [(1, 1, 2, 2)], "1 or more, got 0"),
    ],
)
def test_bad_settings(text, shapes, says):
    with pytest.raises(ValueError, match=says):
        Layers(text, shapes)


def test_one_bottom_and_a_mask_s_settings_is_neither():
    with pytest.raises(ValueError, match="no fork has.*SegNet's, to be told by two bottoms"):
        build('type: "Upsample" upsample_param { upsample_h: 3 }')
