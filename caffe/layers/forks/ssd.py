"""Layers of SSD: Permute, PriorBox, DetectionOutput (permute_layer.cpp, prior_box_layer.cpp,
detection_output_layer.cpp)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch

from ...boxes import decode, suppress
from ...glog import warning
from ...layer import Layer, register


@register
class Permute(Layer):
    """The axes in another order: the top's axis i is the bottom's axis order[i]; axes that `order`
    does not name follow."""

    fork = "SSD"
    num_bottom = num_top = 1
    deterministic = repeatable = capturable = True

    def reshape(self, bottom, top):
        order, count = list(self.param.order), bottom[0].num_axes
        if len(set(order)) < len(order) or any(axis >= count for axis in order):
            raise self.error(
                f"order names each axis at most once, of 0..{count - 1}, got {order} for a bottom of "
                f"shape {list(bottom[0].shape)}"
            )
        self.order = order + [axis for axis in range(count) if axis not in order]
        top[0].set_shape([bottom[0].shape[axis] for axis in self.order])

    def forward(self, bottom, top):
        top[0].x.copy_(bottom[0].x.permute(self.order))

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            back = [self.order.index(axis) for axis in range(len(self.order))]
            bottom[0].dx.copy_(top[0].dx.permute(back))


@register
class PriorBox(Layer):
    """Prior boxes around each cell of bottom 0, in shares of the picture, bottom 1: (1, 2, 4 * boxes),
    their corners and their variances. No gradient.

    A cell has, for each min_size: a square of it; with max_size a square of sqrt(min * max); for
    each aspect ratio but 1, and its inverse unless flip is false, a box of its area. Sizes are
    truncated to whole pixels, as in SSD.
    """

    fork = "SSD"
    num_bottom, num_top = (1, 2), 1
    deterministic = repeatable = capturable = True

    def setup(self, bottom, top):
        p = self.param
        if not p.min_size or min(p.min_size) <= 0:
            raise self.error(f"min_size must be given, and above 0, got {list(p.min_size)}")
        if p.max_size and (
            len(p.max_size) != len(p.min_size)
            or any(most <= least for least, most in zip(p.min_size, p.max_size))
        ):
            raise self.error(
                f"one max_size for each min_size, and above it, got {list(p.min_size)} and "
                f"{list(p.max_size)}"
            )
        if len(p.variance) not in (0, 1, 4):
            raise self.error(f"one variance, or one for each of 4, got {list(p.variance)}")
        self.sizes = list(self.box_sizes())
        if len(bottom) == 1 and not (p.img_size or p.img_h and p.img_w):
            raise self.error("give the picture as a second bottom, or its size as img_size")

    def ratios(self) -> list[float]:
        """The aspect ratios other than 1, each once."""
        found: list[float] = []
        for ratio in self.param.aspect_ratio:
            if all(abs(ratio - known) >= 1e-6 for known in [1.0, *found]):
                found += [ratio, 1 / ratio] if self.param.flip else [ratio]
        return [ratio for ratio in found if abs(ratio - 1) >= 1e-6]

    def box_sizes(self) -> Iterator[tuple[float, float]]:
        """(width, height) of a cell's boxes, in pixels."""
        for i, least in enumerate(map(int, self.param.min_size)):
            yield float(least), float(least)
            if self.param.max_size:
                side = math.sqrt(least * int(self.param.max_size[i]))
                yield side, side
            for ratio in self.ratios():
                yield least * math.sqrt(ratio), least / math.sqrt(ratio)

    def reshape(self, bottom, top):
        p, sides = self.param, self.legacy_shape(bottom[0])[2:]
        if p.HasField("img_size"):
            picture: Sequence[int] = (p.img_size, p.img_size)
        elif p.img_h and p.img_w:
            picture = (p.img_h, p.img_w)
        else:
            picture = self.legacy_shape(bottom[1])[2:]
        if p.HasField("step"):
            steps: Sequence[float] = (p.step, p.step)
        elif p.step_h and p.step_w:
            steps = (p.step_h, p.step_w)
        else:
            steps = [whole / side for whole, side in zip(picture, sides)]
        self.grid = (tuple(sides), tuple(picture), tuple(steps))
        top[0].set_shape([1, 2, sides[0] * sides[1] * len(self.sizes) * 4])

    def forward(self, bottom, top):
        (height, width), (tall, wide), (down, across) = self.grid
        y = top[0].x
        kind = {"dtype": y.dtype, "device": y.device}
        rows = (torch.arange(height, **kind) + self.param.offset) * down
        columns = (torch.arange(width, **kind) + self.param.offset) * across
        corners = y[0, 0].view(height, width, len(self.sizes), 4)
        for i, (box_width, box_height) in enumerate(self.sizes):
            for at, centre, size, whole in (
                (0, columns, -box_width, wide),
                (1, rows[:, None], -box_height, tall),
                (2, columns, box_width, wide),
                (3, rows[:, None], box_height, tall),
            ):
                corners[:, :, i, at] = (centre + size / 2) / whole
        if self.param.clip:
            corners.clamp_(0, 1)
        variances = list(self.param.variance) or [0.1]
        for at in range(4):
            y[0, 1].view(-1, 4)[:, at] = variances[at % len(variances)]

    def backward(self, top, propagate_down, bottom):
        for blob, propagates in zip(bottom, propagate_down):
            if propagates:
                blob.dx.zero_()


@register
class DetectionOutput(Layer):
    """What was detected: rows (picture, class, score, xmin, ymin, xmax, ymax) of a top (1, 1, K, 7).

    Bottoms: codes of boxes (N, priors * 4), scores (N, priors * classes), and PriorBox's top. Of each
    class but the background the top_k scores above confidence_threshold are suppressed where they
    overlap; then keep_top_k of a picture remain. If nothing is found, K is N and a row is its picture
    and -1s. Results are not written to files (save_output_param), nor shown. No gradient.
    """

    fork = "SSD"
    num_bottom, num_top = 3, 1
    deterministic = shapes_follow_values = True

    def setup(self, bottom, top):
        p = self.param
        if not p.num_classes:
            raise self.error("num_classes must be given")
        if not 0 < p.nms_param.eta <= 1 or p.nms_param.nms_threshold < 0:
            raise self.error(
                f"nms_param: eta lies in (0, 1] and nms_threshold is 0 or more, got "
                f"{p.nms_param.eta} and {p.nms_param.nms_threshold}"
            )
        if p.save_output_param.output_directory:
            warning(
                "detection_output_layer.cpp:0",
                f"layer '{self.name}' (DetectionOutput): results are not written to "
                f"{p.save_output_param.output_directory}; they are in the top",
            )

    def reshape(self, bottom, top):
        p = self.param
        self.priors = self.legacy_shape(bottom[2])[2] // 4
        num, *_ = self.legacy_shape(bottom[0])
        self.locations = 1 if p.share_location else p.num_classes
        wanted = [num * self.priors * n for n in (self.locations * 4, p.num_classes)]
        if [bottom[0].count, bottom[1].count] != wanted or bottom[1].shape[0] != num:
            raise self.error(
                f"{self.priors} prior boxes and {p.num_classes} classes need {wanted[0] // num} codes "
                f"and {wanted[1] // num} scores a picture, got shapes {list(bottom[0].shape)} and "
                f"{list(bottom[1].shape)}"
            )
        top[0].set_shape([1, 1, 1, 7])

    def forward(self, bottom, top):
        p, num = self.param, bottom[0].shape[0]
        prior, variance = bottom[2].x.view(2, self.priors, 1, 4)
        d = bottom[0].x.view(num, self.priors, self.locations, 4)
        variance = torch.ones_like(variance) if p.variance_encoded_in_target else variance
        boxes = decode(p.code_type, d, prior, variance).cpu().numpy()
        scores = bottom[1].x.view(num, self.priors, p.num_classes).cpu().numpy()
        rows = [row for i in range(num) for row in self.detect(i, boxes[i], scores[i])]
        if not rows:
            rows = [[i] + [-1] * 6 for i in range(num)]
        top[0].set_shape([1, 1, len(rows), 7])
        top[0].data[...] = rows

    def detect(self, item: int, boxes: np.ndarray, scores: np.ndarray) -> list[list[float]]:
        """The rows of a picture, class by class."""
        p, found = self.param, []
        nms = p.nms_param
        for label in range(p.num_classes):
            if label == p.background_label_id:
                continue
            score = scores[:, label]
            order = np.argsort(-score, kind="stable")
            if p.HasField("confidence_threshold"):
                order = order[score[order] > p.confidence_threshold]
            if nms.HasField("top_k") and nms.top_k > -1:
                order = order[: nms.top_k]
            candidates = boxes[order, 0 if p.share_location else label]
            for i in suppress(candidates, nms.nms_threshold, nms.eta):
                found.append([item, label, score[order[i]], *candidates[i]])
        if -1 < p.keep_top_k < len(found):
            best = np.argsort([-row[2] for row in found], kind="stable")[: p.keep_top_k]
            found = [found[i] for i in sorted(best)]
        return found

    def backward(self, top, propagate_down, bottom):
        if any(propagate_down):
            raise self.error(
                "has no gradient, but force_backward asks for one: include it in TEST only",
                NotImplementedError,
            )
