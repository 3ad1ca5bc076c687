"""AnnotatedData of SSD: pictures with boxes from a database (annotated_data_layer.cpp)."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...layer import register
from ...proto import caffe_pb2
from ..data import Data
from .augmentation import cut, distort, expand, sample, to_size

# parts of transform_param that are not there
MISSING = ("crop_size", "crop_h", "crop_w", "noise_param")


@register
class AnnotatedData(Data):
    """Pictures (N, C, H, W), and their objects (1, 1, G, 8): picture, class, instance, xmin, ymin, xmax,
    ymax in shares of the picture, difficult. Without objects the second top is one row of -1s.

    distort_param, expand_param, batch_sampler, resize_param (WARP) and mirror come in this order. Records
    are AnnotatedDatums.
    """

    fork = "SSD"
    param_type = "Data"
    kind = caffe_pb2.AnnotatedDatum

    def setup(self, bottom, top):
        transform = self.layer_param.transform_param
        missing = [name for name in MISSING if transform.HasField(name)]
        if missing:
            raise self.error(
                f"transform_param: {', '.join(missing)} not there", NotImplementedError
            )
        size = transform.resize_param
        if transform.HasField("resize_param") and size.resize_mode != size.WARP:
            raise self.error("resize_mode: WARP only", NotImplementedError)
        if transform.HasField("resize_param") and not (size.height and size.width):
            raise self.error("resize_param needs height and width")
        super().setup(bottom, top)

    def objects(self, record: Any) -> np.ndarray:
        """A record's objects: rows (class, instance, xmin, ymin, xmax, ymax, difficult)."""
        rows = []
        for group in record.annotation_group:
            for annotation in group.annotation:
                box = annotation.bbox
                corners = (box.xmin, box.ymin, box.xmax, box.ymax)
                rows.append([group.group_label, annotation.instance_id, *corners, box.difficult])
        return np.array(rows, np.float64).reshape(-1, 7)

    def pair(self) -> tuple[np.ndarray, np.ndarray]:
        """The next picture (C, H, W), float32, and its objects."""
        record, transform = next(self.datums), self.layer_param.transform_param
        picture, objects = self.decoded(record.datum), self.objects(record)
        own = self.layer_param.annotated_data_param
        if transform.HasField("distort_param"):
            picture = distort(picture, transform.distort_param, self.random)
        if transform.HasField("expand_param"):
            mean = np.array(transform.mean_value or [0.0])
            picture, objects = expand(picture, objects, transform.expand_param, mean, self.random)
        window = sample(objects, own.batch_sampler, self.random)
        if window is not None:
            rule = transform.emit_constraint if transform.HasField("emit_constraint") else None
            picture, objects = cut(picture, objects, window, rule)
        if (
            transform.HasField("resize_param")
            and self.random.random() < transform.resize_param.prob
        ):
            picture = to_size(picture, transform.resize_param, self.random)
        values = self.transform.subtract_mean(picture) * np.float32(transform.scale)
        if transform.mirror and self.random.randrange(2):
            values = values[:, :, ::-1]
            objects[:, [2, 4]] = 1 - objects[:, [4, 2]]
        return values, objects

    def batch(self) -> tuple[np.ndarray, ...]:
        """The next batch: pictures, and the objects of all of them."""
        pictures, objects = zip(*(self.pair() for _ in range(self.batch_size)))
        if len({picture.shape for picture in pictures}) > 1:
            raise self.error(
                "pictures of one batch must have one shape, got "
                f"{sorted({picture.shape for picture in pictures})}; give resize_param"
            )
        rows = [[i, *row] for i, part in enumerate(objects) for row in part] or [[-1] * 8]
        return np.stack(pictures), np.array(rows, np.float32)[None, None]
