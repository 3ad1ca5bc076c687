"""Split, Silence, Concat, Slice, Crop, Tile, Flatten, Reshape; Reduction, BatchReindex, Filter."""

import numpy as np
import pytest
from gradient_check import Case, Layers, check_gradient, check_reference


def one(formula):
    return lambda bottoms, params: formula(bottoms[0])


INDEX = np.array([2, 0, 2, 1, 2])
CHOSEN = np.array([0, 1, 0, -3])
CASES = [
    Case('type: "Split"', [(2, 3)], lambda bottoms, params: [bottoms[0]] * 3, tops=3),
    Case(
        'type: "Concat"', [(2, 1, 2), (2, 3, 2)], lambda bottoms, params: np.concatenate(bottoms, 1)
    ),
    Case(
        'type: "Concat" concat_param { axis: -3 }',
        [(1, 2, 2), (2, 2, 2)],
        lambda bottoms, params: np.concatenate(bottoms, 0),
    ),
    Case('type: "Slice"', [(2, 6)], lambda bottoms, params: np.split(bottoms[0], 3, 1), tops=3),
    Case(
        'type: "Slice" slice_param { axis: -1 slice_point: 1 slice_point: 3 }',
        [(2, 2, 4)],
        lambda bottoms, params: np.split(bottoms[0], [1, 3], 2),
        tops=3,
    ),
    Case(
        'type: "Crop" crop_param { offset: 1 }',
        [(2, 2, 4, 5), (1, 1, 2, 3)],
        one(lambda x: x[:, :, 1:3, 1:4]),
        gradients=[0],
    ),
    Case(
        'type: "Crop" crop_param { axis: -2 offset: 2 offset: 0 }',
        [(2, 5, 4), (9, 3, 3)],
        one(lambda x: x[:, 2:5, :3]),
        gradients=[0],
    ),
    Case('type: "Tile" tile_param { tiles: 3 }', [(2, 2, 2)], one(lambda x: np.tile(x, (1, 3, 1)))),
    Case(
        'type: "Tile" tile_param { axis: -1 tiles: 2 }', [(2, 3)], one(lambda x: np.tile(x, (1, 2)))
    ),
    Case('type: "Flatten"', [(2, 3, 2)], one(lambda x: x.reshape(2, 6))),
    Case(
        'type: "Flatten" flatten_param { axis: -3 end_axis: -2 }',
        [(2, 3, 2)],
        one(lambda x: x.reshape(6, 2)),
    ),
    *(
        Case(
            f'type: "Reshape" reshape_param {{ {text} }}',
            [(2, 6, 4)],
            one(lambda x, s=s: x.reshape(s)),
        )
        for text, s in [
            ("shape { dim: 0 dim: -1 }", (2, 24)),
            ("shape { dim: 3 dim: -1 } axis: 1 num_axes: 1", (2, 3, 2, 4)),
            ("shape { dim: 1 } axis: -1", (2, 6, 4, 1)),
            ("shape { dim: 0 dim: 2 dim: -1 } axis: 1", (2, 6, 2, 2)),
            ("shape { dim: 1 } axis: 0 num_axes: 0", (1, 2, 6, 4)),
        ]
    ),
    Case('type: "Reduction"', [(2, 3)], one(np.sum)),
    Case(
        'type: "Reduction" reduction_param { operation: ASUM axis: 1 coeff: 2 }',
        [(2, 3, 2)],
        one(lambda x: 2 * np.abs(x).sum((1, 2))),
    ),
    Case(
        'type: "Reduction" reduction_param { operation: SUMSQ axis: -1 }',
        [(2, 3, 2)],
        one(lambda x: (x**2).sum(2)),
    ),
    Case(
        'type: "Reduction" reduction_param { operation: MEAN coeff: 3 }',
        [(4,)],
        one(lambda x: 3 * x.mean()),
    ),
    Case(
        'type: "BatchReindex"',
        [(3, 2, 2), (5,)],
        one(lambda x: x[INDEX]),
        values={1: INDEX},
        gradients=[0],
    ),
    Case(
        'type: "Filter"',
        [(4, 2), (4, 1, 3), (4,)],
        lambda bottoms, params: [b[CHOSEN != 0] for b in bottoms[:2]],
        values={2: CHOSEN},
        gradients=[0, 1],
        tops=2,
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_reference_and_gradient(case):
    check_reference(case)
    if "Reshape" not in case.text:
        check_gradient(case)  # a Reshape's diffs are one memory: there is nothing to compute


def shared(a, b):
    return np.shares_memory(a.data, b.data), np.shares_memory(a.diff, b.diff)


@pytest.mark.parametrize(
    "text, data_and_diff",
    [
        ('type: "Reshape" reshape_param { shape { dim: -1 } }', (True, True)),
        ('type: "Flatten"', (True, False)),
        ('type: "Split"', (True, False)),
        ('type: "Concat"', (True, True)),
        ('type: "Slice"', (True, True)),
        ('type: "Dropout"', (False, False)),
    ],
)
def test_memory_is_shared_as_in_caffe(text, data_and_diff):
    run = Layers(text, [(2, 3)])
    run.forward()
    assert shared(run.bottom[0], run.top[0]) == data_and_diff


def test_flatten_shares_its_diff_in_backward():
    run = Layers('type: "Flatten"', [(2, 3, 4)])
    run.forward()
    run.top[0].diff[...] = np.arange(24).reshape(2, 12)
    run.backward([True])
    np.testing.assert_array_equal(run.bottom[0].diff, np.arange(24).reshape(2, 3, 4))
    assert shared(run.bottom[0], run.top[0]) == (True, True)


def test_silence_has_no_gradient_to_give():
    run = Layers('type: "Silence"', [(2,), (3,)], tops=0)
    run.forward()
    for blob in run.bottom:
        blob.diff[...] = 5
    run.backward([True, False])
    assert not run.bottom[0].diff.any() and (run.bottom[1].diff == 5).all()


def test_crop_never_writes_its_second_bottom():
    run = Layers('type: "Crop"', [(1, 1, 4, 4), (1, 1, 2, 2)])
    run.forward()
    run.bottom[1].diff[...] = 5
    run.backward([True, True])
    assert (run.bottom[1].diff == 5).all()


def test_a_filter_that_selects_nothing():
    run = Layers('type: "Filter"', [(4, 2), (4,)])
    assert list(run.top[0].shape) == [4, 2]  # when the net is built, the full batch
    assert run.forward()[0].shape == (0, 2)
    with pytest.raises(ValueError, match="selected none"):
        run.backward([True, False])


def test_batch_reindex_out_of_range(device):
    run = Layers('type: "BatchReindex"', [(2, 3), (2,)])
    run.bottom[1].data[...] = [0, 5]
    with pytest.raises(ValueError, match="indices must lie in 0..1.*got 0..5"):
        run.forward()


@pytest.mark.parametrize("text", ['type: "BatchReindex"', 'type: "Filter"'])
def test_selectors_get_no_gradient(text):
    run = Layers(text, [(2, 3), (2,)])
    run.forward()
    with pytest.raises(NotImplementedError, match="cannot pass a gradient"):
        run.backward([True, True])


@pytest.mark.parametrize(
    "text, shapes, tops, message",
    [
        (
            '"Crop"',
            [(2, 3, 4, 5), (2, 3, 4, 6)],
            1,
            "axis 3: offset 0 \\+ size 6 exceeds bottom size 5",
        ),
        (
            '"Crop" crop_param { offset: 3 }',
            [(1, 1, 4, 5), (1, 1, 2, 2)],
            1,
            "axis 2: offset 3 \\+ size 2",
        ),
        ('"Crop" crop_param { axis: 1 }', [(1, 2, 4, 5), (1, 3, 2, 2)], 1, "axis 1.*axis: 2 }"),
        (
            '"Crop" crop_param { offset: 0 offset: 0 offset: 0 }',
            [(1, 1, 2, 2)] * 2,
            1,
            "each of the 2 axes",
        ),
        ('"Crop" crop_param { axis: 0 }', [(2, 3), (2,)], 1, "as many axes"),
        ('"Concat"', [(2, 3, 4, 5), (2, 3, 4, 6)], 1, "differ in axis 1 only"),
        (
            '"Concat" concat_param { axis: 1 concat_dim: 1 }',
            [(2, 3)],
            1,
            "either axis or concat_dim",
        ),
        ('"Slice"', [(2, 3)], 2, "size 3 cannot be cut into 2 equal parts"),
        (
            '"Slice" slice_param { slice_point: 2 slice_point: 1 }',
            [(2, 3)],
            3,
            "2 rising slice_points",
        ),
        ('"Slice" slice_param { slice_point: 1 }', [(2, 3)], 3, "2 rising slice_points"),
        ('"Reshape" reshape_param { shape { dim: 7 } }', [(2, 3)], 1, "7 values for 6"),
        ('"Reshape" reshape_param { shape { dim: -1 dim: -1 } }', [(2, 3)], 1, "one -1"),
        (
            '"Reshape" reshape_param { shape { dim: 2 dim: 3 dim: 0 } }',
            [(2, 3)],
            1,
            "copies axis 2",
        ),
        (
            '"Reshape" reshape_param { shape { dim: 5 dim: -1 } }',
            [(2, 3)],
            1,
            "5 values for 6|for 6",
        ),
        (
            '"Reshape" reshape_param { shape { dim: 1 } axis: 3 }',
            [(2, 3)],
            1,
            "axis 3 with num_axes -1",
        ),
        ('"Tile"', [(2, 3)], 1, "tiles must be given"),
        ('"Filter"', [(2, 3), (3,)], 1, "3 values for 2 items"),
        ('"Filter"', [(2, 3), (2, 2)], 1, "one value for each item"),
        ('"BatchReindex"', [(2, 3), (2, 1)], 1, "one axis"),
        ('"Flatten" flatten_param { end_axis: 2 }', [(2, 3)], 1, "end_axis 2 out of range"),
    ],
)
def test_bad_settings(text, shapes, tops, message):
    with pytest.raises(ValueError, match=f"layer 'l' .*{message}"):
        Layers(f"type: {text}", shapes, tops)


@pytest.mark.parametrize(
    "text", ['"Reshape" reshape_param { shape { dim: -1 } }', '"Flatten"', '"Split"']
)
def test_in_place_is_refused(text):
    with pytest.raises(ValueError, match="in place"):
        Layers(f"type: {text}", [(2, 3)], in_place=True)
