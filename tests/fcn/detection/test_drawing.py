"""Pictures of what was found: boxes and masks above a score, a row a net."""

import numpy as np
from PIL import Image

from fcn.detection.drawing import COLOURS, draw_rows, with_results

PICTURE = np.zeros((40, 50, 3), np.uint8)
NOTHING = (np.zeros(0), np.zeros((0, 4)))


def test_boxes_and_masks_above_a_score():
    boxes = [NOTHING, (np.array([0.9, 0.1]), np.array([[5, 5, 20, 30], [30, 5, 45, 30]]))]
    drawn = np.asarray(with_results(PICTURE, boxes))
    red = [int(COLOURS[1][i : i + 2], 16) for i in (1, 3, 5)]
    assert drawn[30, 10].tolist() == red and not drawn[25:, 31:].any()
    mask = np.zeros((1, 40, 50), bool)
    mask[0, 20:30, 20:30] = True
    drawn = np.asarray(with_results(PICTURE, [NOTHING, (np.array([0.9]), mask)]))
    assert drawn[29, 29].any() and not drawn[32:, 32:].any() and not PICTURE.any()


def test_a_row_for_each_net(tmp_path):
    rows = {"one": [[NOTHING]] * 2, "two": [[NOTHING]] * 2}
    draw_rows([PICTURE, PICTURE], rows, tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        assert image.size == (2 * 54, 2 * (44 + 16))
