"""The Python layers of py-faster-rcnn that are built in: its targets and its data layer."""

import math

import numpy as np
import pytest
from gradient_check import Layers
from naive_boxes import overlap
from PIL import Image

import caffe
from caffe.layers.forks import faster_rcnn, roi_data
from caffe.layers.forks.proposal import anchors

ANCHORS = """type: "Python" python_param { module: "rpn.anchor_target_layer" layer: "AnchorTargetLayer"
  param_str: "'feat_stride': 16, 'scales': [1, 2]%s" }"""
TARGETS = """type: "Python" python_param { module: "rpn.proposal_target_layer"
  layer: "ProposalTargetLayer" param_str: "'num_classes': 4%s" }"""
DATA = """type: "Python" python_param { module: "roi_data_layer.layer" layer: "RoIDataLayer"
  param_str: "'num_classes': 4, 'scale': 20, 'pixel_means': (1, 2, 3)%s" }"""
BOXES = np.array([[10, 12, 30, 40, 2], [40, 5, 60, 22, 3]])
INFO = np.array([[48, 64, 1]])


@pytest.fixture
def said(monkeypatch):
    """The texts of warnings."""
    texts = []
    for module in (faster_rcnn, roi_data):
        monkeypatch.setattr(module, "warning", lambda where, text: texts.append(text))
    return texts


def in_pixels(a, b):
    return overlap(np.add(a[:4], [0, 0, 1, 1]), np.add(b[:4], [0, 0, 1, 1]))


def code(box, wanted):
    sides = [(b[2] - b[0] + 1, b[3] - b[1] + 1) for b in (box, wanted)]
    moves = [(wanted[i] + sides[1][i] / 2 - box[i] - sides[0][i] / 2) / sides[0][i] for i in (0, 1)]
    return [*moves, *(math.log(sides[1][i] / sides[0][i]) for i in (0, 1))]


def anchor_targets(more="", boxes=BOXES):
    run = Layers(ANCHORS % more, [(1, 12, 3, 4), boxes.shape, (1, 3), (1, 3, 48, 64)], tops=4)
    run.bottom[1].data[...], run.bottom[2].data[...] = boxes, INFO
    return [top.copy() for top in run.forward()], run


def test_labels_and_codes_of_anchors():
    """All are drawn where there is room for all."""
    (labels, codes, inside, outside), _ = anchor_targets(", 'rpn_batchsize': 1000")
    every = {
        (a, h, w): shape + 16 * np.array([w, h, w, h])
        for h, w in np.ndindex(3, 4)
        for a, shape in enumerate(anchors(16, [0.5, 1, 2], [1, 2]))
    }
    within = {at: b for at, b in every.items() if min(b) >= 0 and b[2] < 64 and b[3] < 48}
    best = [max(in_pixels(b, box) for b in within.values()) for box in BOXES]
    labels = labels.reshape(6, 3, 4)
    counted = (labels >= 0).sum()
    for at, box in every.items():
        shared = [in_pixels(box, b) for b in BOXES]
        positive = at in within and (max(shared) >= 0.7 or any(np.isclose(shared, best)))
        negative = at in within and not positive and max(shared) < 0.3
        assert labels[at] == (1 if positive else 0 if negative else -1)
        place = slice(4 * at[0], 4 * at[0] + 4), at[1], at[2]
        wanted = code(box, BOXES[int(np.argmax(shared))]) if at in within else [0] * 4
        np.testing.assert_allclose(codes[0][place], wanted, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(inside[0][place], float(positive))
        weight = 1 / counted if labels[at] >= 0 else 0
        np.testing.assert_allclose(outside[0][place], weight, rtol=1e-6)
    assert (labels == 1).sum() >= 2 and (labels == 0).any() and (labels == -1).any()


def test_few_anchors_are_drawn_and_at_most_half_are_positive():
    (labels, *_), run = anchor_targets(", 'rpn_batchsize': 4")
    assert (labels >= 0).sum() == 4 and 1 <= (labels == 1).sum() <= 2
    drawn = set()
    for _ in range(8):
        run.layer.forward(run.bottom, run.top)
        drawn.add(run.top[0].data.tobytes())
    assert len(drawn) > 1


@pytest.mark.parametrize("boxes", [np.zeros((0, 5)), np.array([[9.0, 9, 3, 3, 1]])])
def test_a_picture_without_a_box_has_background_alone(boxes, said):
    """A box of no area is named, and counts as none."""
    (labels, codes, inside, _), _ = anchor_targets("", boxes)
    assert set(np.unique(labels)) == {-1, 0} and not codes.any() and not inside.any()
    wanted = "layer 'l' (Python): box [9.0, 9.0, 3.0, 3.0] has no area: left out"
    assert said == [wanted] * len(boxes)


PROPOSALS = np.array(
    [
        [0, 12, 12, 30, 40],
        [0, 10, 20, 28, 46],
        [0, 0, 0, 8, 8],
        [0, 40, 5, 58, 20],
        [0, 20, 0, 50, 30],
    ]
)


def proposal_targets(more="", proposals=PROPOSALS, boxes=BOXES):
    run = Layers(TARGETS % more, [proposals.shape, boxes.shape], tops=5)
    run.bottom[0].data[...], run.bottom[1].data[...] = proposals, boxes
    return [top.copy() for top in run.forward()]


def test_regions_and_what_they_should_say():
    """The boxes themselves are among the regions; half an overlap makes an object."""
    more = ", 'fg_fraction': 1.0, 'batch_size': 100"
    rois, labels, codes, inside, outside = proposal_targets(more)
    every = [*PROPOSALS[:, 1:], *BOXES[:, :4]]
    assert sorted(map(tuple, rois[:, 1:])) == sorted(map(tuple, every)) and not rois[:, 0].any()
    for roi, label, row, weight in zip(rois[:, 1:], labels, codes, inside):
        shared = [in_pixels(roi, box) for box in BOXES]
        nearest = BOXES[int(np.argmax(shared))]
        assert label == (nearest[4] if max(shared) >= 0.5 else 0)
        wanted, on = np.zeros((4, 4)), np.zeros((4, 4))
        if label:
            wanted[int(label)] = np.array(code(roi, nearest)) / [0.1, 0.1, 0.2, 0.2]
            on[int(label)] = 1
        np.testing.assert_allclose(row, wanted.ravel(), rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(weight, on.ravel())
    np.testing.assert_array_equal(inside, outside)
    assert (labels == 0).any()


def test_a_quarter_of_the_regions_lies_on_boxes():
    rois, labels, *_ = proposal_targets(", 'batch_size': 4")
    assert len(rois) == len(labels) == 3  # one on a box, the two that lie on none
    assert (labels > 0).sum() == 1 and (labels[1:] == 0).all()


def test_without_a_proposal_and_a_box_there_is_one_region_of_background():
    rois, labels, codes, inside, _ = proposal_targets("", np.zeros((0, 5)), np.zeros((0, 5)))
    assert rois.tolist() == [[0] * 5] and labels.tolist() == [0] and not inside.any()
    assert codes.shape == (1, 16)


def test_a_class_that_is_not_there_is_named():
    with pytest.raises(ValueError, match=r"boxes are of classes 2..4, num_classes is 4"):
        proposal_targets("", boxes=np.array([[1, 1, 9, 9, 2], [1, 1, 9, 9, 4]]))


@pytest.mark.parametrize(
    "text, shapes, tops, says",
    [
        (ANCHORS % ", 'x': 1", [(1, 12, 3, 4)] * 4, 4, "param_str: unknown 'x'"),
        (ANCHORS % "", [(1, 10, 3, 4)] * 4, 4, r"6 anchors need scores \(1, 12, H, W\)"),
        (TARGETS.replace("'num_classes': 4", ""), [(1, 5)] * 2, 5, "must state 'num_classes'"),
        (TARGETS % ", (", [(1, 5)] * 2, 5, "param_str is no Python dict"),
        (DATA % ", 'ims_per_batch': 2", [], 3, "a region proposal net takes 1 picture"),
    ],
)
def test_bad_settings(text, shapes, tops, says):
    with pytest.raises(ValueError, match=says):
        Layers(text.replace("%s", ""), shapes, tops=tops)


# ---- the data layer


@pytest.fixture
def picture(tmp_path):
    """A picture of 20 x 30, and an entry that reads it."""
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    boxes = [[2, 3, 9, 12], [10, 0, 40, 19]]
    return pixels, dict(
        image=str(tmp_path / "a.png"), boxes=boxes, gt_classes=[1, 3], flipped=False
    )


def reading(roidb, tops=3, more=""):
    run = Layers(DATA % more, [], tops=tops)
    run.layer.set_roidb(roidb)
    return [top.copy() for top in run.forward()]


@pytest.mark.parametrize("flipped", [False, True])
def test_a_picture_its_size_and_its_boxes(picture, flipped):
    """Parts of boxes outside are cut off; mirrored boxes lie where the picture's parts are."""
    pixels, entry = picture
    data, info, boxes = reading([dict(entry, flipped=flipped)])
    wanted = pixels[:, ::-1] if flipped else pixels
    np.testing.assert_array_equal(
        data[0].transpose(1, 2, 0), wanted[:, :, ::-1] - np.float32([1, 2, 3])
    )
    assert info.tolist() == [[20, 30, 1]]
    rows = (
        [[20, 3, 27, 12, 1], [0, 0, 19, 19, 3]]
        if flipped
        else [[2, 3, 9, 12, 1], [10, 0, 29, 19, 3]]
    )
    assert boxes.tolist() == rows


def test_pictures_are_enlarged_with_their_boxes(picture):
    text = DATA.replace("'scale': 20", "'scale': 40") % ", 'max_size': 1000"
    run = Layers(text, [], tops=3)
    run.layer.set_roidb([picture[1]])
    data, info, boxes = run.forward()
    assert data.shape == (1, 3, 40, 60) and info[0].tolist() == [40, 60, 2]
    assert boxes[0].tolist() == [4, 6, 18, 24, 1]


def test_bad_boxes_are_named_and_the_rest_goes_on(picture, said):
    _, entry = picture
    bad = dict(entry, boxes=[[5, 5, 4, 9], [50, 0, 60, 9], [1, 1, 5, 5]], gt_classes=[1, 2, 3])
    _, _, boxes = reading([bad, dict(entry, boxes=np.zeros((0, 4)), gt_classes=[])])
    assert boxes.tolist() == [[1, 1, 5, 5, 3]]
    for part, text in zip(
        (
            "a.png: box [5.0, 5.0, 4.0, 9.0] has no area",
            "a.png: box [50.0, 0.0, 60.0, 9.0] lies outside of the picture",
            "a.png has no box: left out",
        ),
        said,
        strict=True,
    ):
        assert part in text


def test_nothing_to_read_is_said(picture):
    _, entry = picture
    with pytest.raises(ValueError, match="none of 1 pictures has a box"):
        reading([dict(entry, gt_classes=[0, 0])])
    with pytest.raises(ValueError, match=r"a.png: classes \[1, 7\], num_classes is 4"):
        reading([dict(entry, gt_classes=[1, 7])])
    run = Layers(DATA % "", [], tops=3)
    with pytest.raises(ValueError, match="set_roidb"):
        run.forward()


def test_regions_of_two_pictures_for_fast_rcnn(picture, tmp_path):
    """Padded to one size; regions name their picture."""
    _, entry = picture
    Image.new("RGB", (20, 24)).save(tmp_path / "b.png")
    other = dict(
        image=str(tmp_path / "b.png"), boxes=[[0, 0, 9, 9], [10, 10, 19, 19]], gt_classes=[2, 0]
    )
    data, rois, labels, codes, inside, _ = reading(
        [entry, other], 6, ", 'batch_size': 8, 'fg_fraction': 0.5"
    )
    assert data.shape[:2] == (2, 3) and sorted(set(rois[:, 0])) == [0, 1]
    assert sorted(labels) == [0, 1, 2, 3] and codes.shape == inside.shape == (4, 16)


def test_every_picture_is_read_before_one_comes_again(picture, tmp_path):
    _, entry = picture
    entries = [dict(entry, boxes=[[i, 0, i + 3, 9]], gt_classes=[1]) for i in range(5)]
    run = Layers(DATA % "", [], tops=3)
    run.layer.set_roidb(entries)
    seen = []
    for _ in range(10):
        run.layer.forward(run.bottom, run.top)
        seen.append(run.top[2].data[0, 0])
    assert sorted(seen[:5]) == sorted(seen[5:]) == [0, 1, 2, 3, 4]


def test_gradients_stop():
    run = Layers(TARGETS % "", [PROPOSALS.shape, BOXES.shape], tops=5)
    run.bottom[0].diff[...] = 7
    run.backward([True, False])
    assert not run.bottom[0].diff.any()


def test_resuming_draws_the_same(picture):
    """Draws come from the engine's own numbers, which a snapshot keeps."""

    def drawn():
        caffe.set_random_seed(3)
        run = Layers(
            ANCHORS % ", 'rpn_batchsize': 4",
            [(1, 12, 3, 4), BOXES.shape, (1, 3), (1, 3, 48, 64)],
            4,
        )
        run.bottom[1].data[...], run.bottom[2].data[...] = BOXES, INFO
        run.layer.forward(run.bottom, run.top)
        return run.top[0].data.copy()

    np.testing.assert_array_equal(drawn(), drawn())
