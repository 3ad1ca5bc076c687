"""What nets find: codes undone, windows, suppression by class, pictures without a proposal."""

import numpy as np
import pytest
from places import ROOT

import caffe
from fcn.detection.detector import Detector, decode, in_pixels, sliding_windows

NET = ROOT / "systems/faster-rcnn/sample"
PICTURE = np.random.RandomState(0).randint(0, 256, (90, 120, 3), np.uint8)


def test_codes_are_undone_inside_of_the_picture():
    boxes = np.array([[10.0, 20, 29, 59]])
    assert decode(boxes, np.zeros((1, 8)), 100, 100).tolist() == [[[10, 20, 30, 60]] * 2]
    moved = decode(boxes, np.array([[0.5, -0.25, np.log(2), np.log(0.5)]]), 100, 100)
    np.testing.assert_allclose(moved, [[[10, 20, 50, 40]]])
    assert decode(boxes, np.array([[9.0, 9, 0, 0]]), 100, 100).max() == 99


def test_windows_cover_the_picture():
    found = sliding_windows(90, 120, [(40, 20), (200, 300)])
    assert found.min() == 0 and found[:, 2].max() < 120 and found[:, 3].max() < 90
    assert [0, 0, 119, 89] in found.tolist()  # of a window larger than the picture
    covered = np.zeros((90, 120))
    for x1, y1, x2, y2 in found[:-1].astype(int):
        covered[y1 : y2 + 1, x1 : x2 + 1] = 1
    assert covered.mean() > 0.9


def net_of(stem, tmp_path, change=lambda text: text):
    path = tmp_path / "net.prototxt"
    path.write_text(change((NET / f"{stem}.prototxt").read_text()))
    net = caffe.Net(str(path), caffe.TEST)
    generator = np.random.RandomState(1)
    for name in ("cls_score", "bbox_pred"):
        net.params[name][0].data[...] = generator.normal(0, 0.02, net.params[name][0].shape)
    return net


@pytest.mark.parametrize(
    "stem, regions", [("test", None), ("fast_test", sliding_windows(90, 120, [(60, 40)]))]
)
def test_no_two_boxes_of_a_class_overlap_much(stem, regions, tmp_path):
    found = Detector(net_of(stem, tmp_path), (76, 81, 75)).detect(PICTURE, regions, least=0)
    assert len(found) == 11 and len(found[0][0]) == 0
    for scores, boxes in found[1:]:
        assert len(scores) == len(boxes) > 0 and (np.diff(scores) <= 0).all()
        assert len(caffe.suppress(boxes, 0.3, one=1)) == len(boxes)


def test_a_larger_picture_gives_boxes_of_the_given_one(tmp_path):
    detector = Detector(net_of("test", tmp_path), (0, 0, 0), scale=2)
    boxes = detector.detect(PICTURE, least=0)[1][1]
    assert detector.net.blobs["data"].data.shape == (1, 3, 180, 240) and boxes.max() <= 119


def test_without_a_proposal_nothing_is_found(tmp_path):
    def none(text):
        return text.replace("\\'rpn_post", "\\'rpn_min_size\\': 9999, \\'rpn_post")

    found = Detector(net_of("test", tmp_path, none), (0, 0, 0)).detect(PICTURE, least=0)
    assert [len(scores) for scores, _ in found] == [0] * 11
    given = Detector(net_of("fast_test", tmp_path), (0, 0, 0))
    assert [len(scores) for scores, _ in given.detect(PICTURE, np.zeros((0, 4)))] == [0] * 11


def test_a_net_to_be_tested_gives_codes_in_pixels(tmp_path):
    net = net_of("fast_test", tmp_path)
    before = net.params["bbox_pred"][0].data.copy()
    in_pixels(net)
    ratio = net.params["bbox_pred"][0].data / before
    np.testing.assert_allclose(ratio[:8, 0], [0.1, 0.1, 0.2, 0.2] * 2, rtol=1e-5)
