"""DetectionEvaluate: which detections are right."""

import numpy as np
import pytest
from gradient_check import Case, Layers, check_reference

EVALUATE = 'type: "DetectionEvaluate" detection_evaluate_param {{ num_classes: 3 {} }}'
# (picture, class, score, box) and (picture, class, instance, box, difficult)
FOUND = [
    [0, 1, 0.5, 0.1, 0.1, 0.5, 0.5],  # the first object, too, with a lower score
    [0, 1, 0.9, 0.1, 0.1, 0.5, 0.6],
    [0, 1, 0.8, 0.7, 0.7, 0.9, 0.9],  # no object is there
    [0, 2, 0.7, 0.1, 0.1, 0.5, 0.5],  # no object of that class
    [1, 1, 0.6, 0.2, 0.2, 0.4, 0.4],  # a difficult object
    [2, -1, -1, -1, -1, -1, -1],  # nothing was found
]
OBJECTS = [
    [0, 1, 0, 0.1, 0.1, 0.5, 0.5, 0],
    [1, 1, 0, 0.2, 0.2, 0.4, 0.4, 1],
    [1, 2, 1, 0.5, 0.5, 0.9, 0.9, 0],
    [-1] * 8,  # behind the last
]


def rows(first, last):
    """The counts of classes 1 and 2, and what is said of the difficult object."""
    found = [[-1, 1, first, -1, -1], [-1, 2, 1, -1, -1]]
    found += [[0, 1, 0.9, 1, 0], [0, 1, 0.8, 0, 1], [0, 1, 0.5, 0, 1], [0, 2, 0.7, 0, 1]]
    found += [[1, 1, 0.6, *last], [2, -1, -1, 0, 1]]
    return lambda bottoms, params: np.array(found)[None, None]


def case(settings, reference):
    shapes = [(1, 1, len(FOUND), 7), (1, 1, len(OBJECTS), 8)]
    values = {0: [[FOUND]], 1: [[OBJECTS]]}
    return Case(EVALUATE.format(settings), shapes, reference, values=values, gradients=[])


CASES = [
    case("", rows(2, (1, 0))),
    case("evaluate_difficult_gt: false", rows(1, (0, 0))),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_reference(case):
    check_reference(case)


def test_boxes_in_whole_pixels(tmp_path):
    """A side is one longer: of 10 x 10 pixels, two boxes of 1 x 5 side by side share 2 x 6 of 3 x 6."""
    (tmp_path / "sizes").write_text("a 10 10\nb 20 20\n\n")
    box, object_ = [0, 1, 0.9, 0.1, 0, 0.2, 0.5], [0, 1, 0, 0.2, 0, 0.3, 0.5, 0]

    def right(settings, pictures=1):
        layers = Layers(EVALUATE.format(settings), [(1, 1, 1, 7), (1, 1, 1, 8)])
        layers.bottom[0].data[...], layers.bottom[1].data[...] = box, object_
        return [layers.forward()[0][0, 0, 2, 3] for _ in range(pictures)]

    listed = f'name_size_file: "{tmp_path / "sizes"}" overlap_threshold: 0.3'
    assert right("overlap_threshold: 0.3") == [0]
    assert right(listed, 3) == [1, 0, 1]  # 6 of 18; 11 of 55 in the larger picture; the first again


@pytest.mark.parametrize(
    "settings, shapes, message",
    [
        ("", [(1, 1, 2, 6), (1, 1, 2, 8)], "rows of 7 and of 8 values"),
        ("overlap_threshold: 0", [(1, 1, 2, 7), (1, 1, 2, 8)], "must be above 0, got 3 and 0"),
        ('name_size_file: "none"', [(1, 1, 2, 7), (1, 1, 2, 8)], "name_size_file.*none"),
        ("resize_param { }", [(1, 1, 2, 7), (1, 1, 2, 8)], "resize_param are not measured"),
    ],
)
def test_mistakes(settings, shapes, message):
    with pytest.raises(ValueError, match=message):
        Layers(EVALUATE.format(settings), shapes)
