"""Proposal: the regions that a region proposal network proposes, as a layer (proposal_layer.cpp of several
forks; Faster R-CNN has it in Python, lib/rpn)."""

from __future__ import annotations

import ast
from typing import ClassVar

import numpy as np

from ...boxes import suppress
from ...layer import Layer, register
from ...proto import caffe_pb2


def anchors(base: int, ratios: list[float], scales: list[float]) -> np.ndarray:
    """Boxes around the cell at 0 (n, 4), ratio by ratio; their sides are whole pixels."""
    centre, found = (base - 1) / 2, []
    for ratio in ratios:
        width = np.round(np.sqrt(base * base / ratio))
        sides = np.array([width, np.round(width * ratio)])
        for scale in scales:
            half = (sides * scale - 1) / 2
            found.append([centre - half[0], centre - half[1], centre + half[0], centre + half[1]])
    return np.array(found)


def around(boxes: np.ndarray, height: int, width: int, stride: float) -> np.ndarray:
    """The anchors (A, 4) around each cell of a map, in the order (H, W, A): (boxes, 4)."""
    down, across = np.mgrid[:height, :width] * stride
    return (np.stack([across, down, across, down], -1).reshape(-1, 1, 4) + boxes).reshape(-1, 4)


@register
class Proposal(Layer):
    """Regions (R, 5) of one picture, the best first, and for a second top their scores (R, 1).

    Bottoms: scores (1, 2A, H, W), of background and object for A anchors; their codes (1, 4A, H, W);
    the picture's height, width and scale. Boxes are clipped to the picture, those with a side below
    min_size * scale dropped, of the pre_nms_topn best those kept that overlap by no more than
    nms_thresh, post_nms_topn at most. No gradient.
    """

    fork = "several: intel/caffe, OpenCV's"
    num_bottom, num_top = 3, (1, 2)
    deterministic = shapes_follow_values = True

    def setup(self, bottom, top):
        p = self.param
        ratios, scales = list(p.ratio) or [0.5, 1, 2], list(p.scale) or [8, 16, 32]
        if min(*ratios, *scales, p.feat_stride, p.base_size) <= 0:
            raise self.error("ratio, scale, feat_stride and base_size must be above 0")
        self.anchors = anchors(p.base_size, ratios, scales)

    def reshape(self, bottom, top):
        count = len(self.anchors)
        scores, codes = list(bottom[0].shape), list(bottom[1].shape)
        plane = scores[2:]
        if scores[:2] != [1, 2 * count] or codes != [1, 4 * count, *plane] or len(plane) != 2:
            raise self.error(
                f"{count} anchors need scores (1, {2 * count}, H, W) and codes (1, {4 * count}, H, W), "
                f"got shapes {scores} and {codes}"
            )
        if bottom[2].count < 3:
            raise self.error(
                "bottom 2 holds a picture's height, width and scale, its shape is "
                f"{list(bottom[2].shape)}"
            )
        for blob, width in zip(top, (5, 1)):
            blob.set_shape([1, width])

    def boxes(self, codes: np.ndarray) -> np.ndarray:
        """The boxes that codes (4A, H, W) mean, in the order (H, W, A): (boxes, 4)."""
        height, width = codes.shape[1:]
        places = around(self.anchors, height, width, self.param.feat_stride)
        d = codes.reshape(-1, 4, height, width).transpose(2, 3, 0, 1).reshape(-1, 4)
        size = places[:, 2:] - places[:, :2] + 1
        centre = places[:, :2] + size / 2 + d[:, :2] * size
        with np.errstate(over="ignore"):  # a side beyond all numbers is cut off at the picture's
            half = np.exp(d[:, 2:]) * size / 2
        return np.concatenate([centre - half, centre + half], 1)

    def forward(self, bottom, top):
        p, count = self.param, len(self.anchors)
        # the host suppresses; bottoms are read so that they stay the device's
        scores, codes, info = (blob.x.cpu().numpy() for blob in bottom)
        height, width, scale = info.ravel()[:3]
        boxes = self.boxes(codes[0].astype(np.float64))
        scores = scores[0, count:].transpose(1, 2, 0).ravel()
        boxes = np.clip(boxes, 0, np.array([width, height, width, height]) - 1)
        large = (boxes[:, 2:] - boxes[:, :2] + 1 >= p.min_size * scale).all(1)
        order = np.flatnonzero(large)[np.argsort(-scores[large], kind="stable")]
        order = order[: p.pre_nms_topn] if p.pre_nms_topn else order
        kept = order[suppress(boxes[order], p.nms_thresh, one=1, most=p.post_nms_topn or -1)]
        regions = np.pad(boxes[kept], ((0, 0), (1, 0)))
        for blob, values in zip(top, (regions, scores[kept, None])):
            blob.set_shape(values.shape)
            blob.data[...] = values

    def backward(self, top, propagate_down, bottom):
        for blob, propagates in zip(bottom, propagate_down):
            if propagates:
                blob.dx.zero_()


class ProposalLayer(Proposal):
    """Proposal under the name of py-faster-rcnn's Python layer, rpn.proposal_layer.ProposalLayer, where
    that is not there: `feat_stride` and `scales` of its param_str, the numbers of its cfg.

    param_str may state these numbers too, by the names they have there, in small letters.
    """

    # Name there -> name in proposal_param
    numbers: ClassVar = {
        "rpn_min_size": "min_size",
        "rpn_nms_thresh": "nms_thresh",
        "rpn_pre_nms_top_n": "pre_nms_topn",
        "rpn_post_nms_top_n": "post_nms_topn",
    }

    def __init__(self, layer_param):
        super().__init__(layer_param)
        self.param = caffe_pb2.ProposalParameter()

    def setup(self, bottom, top):
        text = self.layer_param.python_param.param_str.strip()
        if self.phase == caffe_pb2.TRAIN:
            self.param.pre_nms_topn, self.param.post_nms_topn = 12000, 2000
        try:
            settings = ast.literal_eval(text if text.startswith("{") else f"{{{text}}}")
            self.param.feat_stride = settings.pop("feat_stride")
            self.param.scale.extend(settings.pop("scales", ()))
            for name in self.numbers.keys() & settings:
                setattr(self.param, self.numbers[name], settings.pop(name))
        except (SyntaxError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise self.error(
                f"param_str must state 'feat_stride': 16 or the like, and may state 'scales': [8, 16, 32], "
                f"got {text!r} ({error!r})"
            ) from None
        if settings:
            raise self.error(f"param_str: unknown {', '.join(map(repr, settings))}")
        super().setup(bottom, top)
