"""Detector: a net that classifies windows of pictures (python/caffe/detector.py).

Windows are given, or proposed by Selective Search as in R-CNN (Girshick et al., arXiv:1311.2524).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from . import io
from .arguments import OF_CLASSIFIER, refuse_keywords
from .classifier import input_transformer
from .files.paths import Path
from .net import Net
from .proto.caffe_pb2 import TEST

_KEYWORDS = ("mean", "input_scale", "raw_scale", "channel_swap", "context_pad")


class Detector(Net):
    """A net in TEST phase with its preprocessing.

    `context_pad`: width of the picture's surroundings in a crop, in pixels of the net's input; None
    or 0 crops the window alone.
    """

    def __init__(
        self,
        model_file: Path,
        pretrained_file: Path,
        mean: np.ndarray | None = None,
        input_scale: float | None = None,
        raw_scale: float | None = None,
        channel_swap: Sequence[int] | None = None,
        context_pad: int | None = None,
        **others: Any,
    ) -> None:
        refuse_keywords("caffe.Detector", others, _KEYWORDS, OF_CLASSIFIER)
        super().__init__(model_file, TEST, weights=pretrained_file)
        self.transformer = input_transformer(self, mean, input_scale, raw_scale, channel_swap)
        self.configure_crop(context_pad)

    def detect_windows(
        self, images_windows: Iterable[tuple[str, Iterable[Sequence[float] | np.ndarray]]]
    ) -> list[dict[str, Any]]:
        """Predictions for windows, warped to the net's input.

        images_windows: (picture's file name, windows) pairs; a window is (ymin, xmin, ymax, xmax).
        Result: a dict a window, of `window`, `prediction` (the outputs' vector) and `filename`.
        """
        found, crops = [], []
        for filename, windows in images_windows:
            image = io.load_image(filename).astype(np.float32)
            for window in windows:
                found.append((filename, window))
                crops.append(self.crop(image, window))
        if not crops:
            return []
        name = self.inputs[0]
        batch = np.stack([self.transformer.preprocess(name, crop) for crop in crops])
        predictions = self.forward_all(**{name: batch})[self.outputs[0]]
        return [
            {"window": window, "prediction": prediction, "filename": filename}
            for (filename, window), prediction in zip(found, predictions)
        ]

    def detect_selective_search(self, image_fnames: Sequence[str]) -> list[dict[str, Any]]:
        """As detect_windows, for the windows that Selective Search proposes.

        Needs the module selective_search_ijcv_with_python (and MATLAB); ImportError without it.
        """
        try:
            import selective_search_ijcv_with_python as selective_search
        except ImportError as error:
            raise ImportError(
                "Selective Search needs the module selective_search_ijcv_with_python and MATLAB; "
                "windows from elsewhere go to detect_windows (`caffe detect --crop_mode list`)"
            ) from error
        image_fnames = [os.path.abspath(name) for name in image_fnames]
        return self.detect_windows(
            list(zip(image_fnames, selective_search.get_windows(image_fnames)))
        )

    def crop(self, im: np.ndarray, window: Sequence[float] | np.ndarray) -> np.ndarray:
        """A window (ymin, xmin, ymax, xmax) of a picture, with its surroundings if so configured.

        The surroundings reach `context_pad` pixels into the net's input; where they leave the
        picture, the crop is the mean.
        """
        box_of = np.asarray(window).astype(int)
        inside = im[box_of[0] : box_of[2], box_of[1] : box_of[3]]
        if not inside.size:
            raise ValueError(
                f"window {box_of.tolist()} (ymin, xmin, ymax, xmax) holds nothing of a picture of "
                f"{im.shape[0]} x {im.shape[1]} pixels"
            )
        if not self.context_pad:
            return inside
        size = self.blobs[self.inputs[0]].width  # the input is square
        scale = size / (size - 2.0 * self.context_pad)
        half = (box_of[2:] - box_of[:2] + 1) / 2.0
        centre = box_of[:2] + half
        box = np.round(np.concatenate([centre - scale * half, centre + scale * half]))
        whole = box[2:] - box[:2] + 1
        step = size / whole  # pixels of the input a pixel of the picture
        before = np.round(np.maximum(0, -box[:2]) * step).astype(int)
        box = np.clip(box, 0, [im.shape[0], im.shape[1]] * 2).astype(int)
        inner = np.round((box[2:] - box[:2] + 1) * step).astype(int)
        inner = np.minimum(inner, size - before)
        result = np.broadcast_to(self.crop_mean, (size, size, im.shape[2])).astype(np.float32)
        warped = io.resize_image(im[box[0] : box[2], box[1] : box[3]], inner)
        result[before[0] : before[0] + inner[0], before[1] : before[1] + inner[1]] = warped
        return result

    def configure_crop(self, context_pad: int | None) -> None:
        """Set the width of the surroundings; the mean of the transformer fills what lies outside."""
        name = self.inputs[0]
        self.context_pad = context_pad
        if not context_pad:
            return
        size = self.blobs[name].width
        if not 0 < 2 * context_pad < size:
            raise ValueError(
                f"context_pad {context_pad} must leave some of the input's {size} pixels"
            )
        transformer = self.transformer
        mean = transformer.mean.get(name)
        if mean is None:
            self.crop_mean = np.zeros((1, 1, 1), np.float32)
            return
        # back from the blob's scale, order and axes to those of load_image's pictures
        mean = np.array(mean, np.float32)
        if name in transformer.channel_swap:
            mean = mean[np.argsort(transformer.channel_swap[name])]
        mean = mean.transpose(np.argsort(transformer.transpose[name]))
        if name in transformer.raw_scale:
            mean /= transformer.raw_scale[name]
        self.crop_mean = mean
