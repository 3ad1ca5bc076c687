"""DetectionEvaluate, of SSD: which detections are right (detection_evaluate_layer.cpp)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ...layer import Layer, register

Boxes = np.ndarray  # rows of what is known of boxes


@register
class DetectionEvaluate(Layer):
    """Rows (picture, class, score, right, wrong) of a top (1, 1, K, 5), for a mean average precision.

    Bottoms: DetectionOutput's rows, and the objects (1, 1, N, 8): picture, class, instance, box, difficult.
    First a row (-1, class, objects, -1, -1) for each class but the background. A detection is right if the
    object of its class that it overlaps most, by overlap_threshold or more, has none with a higher score. Of
    a difficult one it is neither, unless evaluate_difficult_gt. With name_size_file, whose lines hold a
    name, a height and a width, boxes are measured in whole pixels. No gradient.
    """

    fork = "SSD"
    num_bottom, num_top = 2, 1
    shapes_follow_values = True

    def setup(self, bottom, top):
        p = self.param
        if not p.num_classes or p.overlap_threshold <= 0:
            raise self.error(
                f"num_classes and overlap_threshold must be above 0, got {p.num_classes} and "
                f"{p.overlap_threshold:g}"
            )
        if p.HasField("resize_param"):
            raise self.error("boxes of pictures that were resized by resize_param are not measured")
        self.sizes = self.read_sizes(p.name_size_file) if p.name_size_file else []
        self.seen = 0  # pictures so far, of the list's

    def read_sizes(self, path: str) -> list[tuple[int, int]]:
        """(height, width) of each line of the file."""
        try:
            with open(path) as file:
                rows = [line.split() for line in file if line.strip()]
            return [(int(height), int(width)) for _, height, width in rows]
        except (OSError, ValueError) as error:
            raise self.error(
                f"name_size_file, lines of a name, a height and a width: {path}: {error}"
            ) from None

    def reshape(self, bottom, top):
        for blob, width in zip(bottom, (7, 8)):
            if blob.num_axes != 4 or [*blob.shape[:2], blob.shape[3]] != [1, 1, width]:
                raise self.error(
                    f"needs rows of 7 and of 8 values, (1, 1, K, 7) and (1, 1, N, 8), got shapes "
                    f"{[list(blob.shape) for blob in bottom]}"
                )
        classes = self.param.num_classes - (self.param.background_label_id < self.param.num_classes)
        top[0].set_shape([1, 1, classes + bottom[0].shape[2], 5])

    def forward(self, bottom, top):
        p = self.param
        found, objects = (blob.x.cpu().numpy().reshape(-1, blob.shape[3]) for blob in bottom)
        found, objects = (rows[rows[:, 0] >= 0] for rows in (found, objects))
        objects = objects[objects[:, 1] != p.background_label_id]
        rows = []
        for label in range(p.num_classes):
            if label != p.background_label_id:
                own = objects[objects[:, 1] == label]
                rows.append([-1, label, len(own) - sum(self.ignored(own)), -1, -1])
        for picture in np.unique(found[:, 0]):
            scale = self.scale()
            rows += self.judged(
                found[found[:, 0] == picture], objects[objects[:, 0] == picture], scale
            )
        y = np.zeros(tuple(top[0].shape), np.float32)
        y[0, 0, : len(rows)] = rows
        top[0].data[...] = y

    def ignored(self, objects: Boxes) -> np.ndarray:
        """Which objects do not count."""
        difficult = objects[:, 7] != 0
        return difficult & (not self.param.evaluate_difficult_gt)

    def scale(self) -> np.ndarray | None:
        """Width, height, width, height of the next picture; None where boxes are shares of one."""
        if not self.sizes:
            return None
        height, width = self.sizes[self.seen]
        self.seen = (self.seen + 1) % len(self.sizes)
        return np.array([width, height, width, height])

    def judged(self, found: Boxes, objects: Boxes, scale: np.ndarray | None) -> Iterator[list]:
        """The rows of a picture's detections, class by class, the best first."""
        for label in np.unique(found[:, 1]):
            own = found[found[:, 1] == label]
            there = objects[objects[:, 1] == label]
            if len(there):
                own = own[np.argsort(-own[:, 2], kind="stable")]
            ignored, taken = self.ignored(there), set()
            for row in own:
                shares = overlaps(row[3:7], there[:, 3:7], scale)
                best = int(shares.argmax()) if len(there) else -1
                hit = best >= 0 and shares[best] >= self.param.overlap_threshold
                right = hit and not ignored[best] and best not in taken
                wrong = not hit or best in taken
                taken |= {best} if right else set()
                yield [row[0], label, row[2], float(right), float(wrong)]

    def backward(self, top, propagate_down, bottom):
        if any(propagate_down):
            raise self.error(
                "has no gradient, but force_backward asks for one: include it in TEST only",
                NotImplementedError,
            )


def overlaps(box: np.ndarray, others: Boxes, scale: np.ndarray | None) -> np.ndarray:
    """Intersection over union of a box with each of others (n, 4). With `scale`, as boxes of whole pixels,
    whose sides are one longer, clipped to the picture."""
    one = 0.0
    if scale is not None:
        one = 1.0
        box, others = (np.clip(boxes, 0, 1) * scale for boxes in (box, others))
    near, far = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    met = (far >= near).all(1)
    shared = np.where(met, (far - near + one).prod(1), 0)
    area = (box[2:] - box[:2] + one).prod() + (others[:, 2:] - others[:, :2] + one).prod(1)
    return np.divide(shared, area - shared, out=np.zeros(len(others)), where=area > shared)
