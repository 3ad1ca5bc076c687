"""Classifier: a net that classifies pictures, by their centre or ten crops of them
(python/caffe/classifier.py)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from . import io
from .arguments import OF_CLASSIFIER, refuse_keywords
from .files.paths import Path
from .net import Net
from .proto.caffe_pb2 import TEST

_KEYWORDS = ("image_dims", "mean", "input_scale", "raw_scale", "channel_swap")


def input_transformer(
    net: Net,
    mean: np.ndarray | None,
    input_scale: float | None,
    raw_scale: float | None,
    channel_swap: Sequence[int] | None,
) -> io.Transformer:
    """A Transformer from pictures to the net's first input; None leaves a step out."""
    name = net.inputs[0]
    transformer = io.Transformer({name: net.blobs[name].data.shape})
    transformer.set_transpose(name, (2, 0, 1))
    if mean is not None:
        transformer.set_mean(name, mean)
    if input_scale is not None:
        transformer.set_input_scale(name, input_scale)
    if raw_scale is not None:
        transformer.set_raw_scale(name, raw_scale)
    if channel_swap is not None:
        transformer.set_channel_swap(name, channel_swap)
    return transformer


class Classifier(Net):
    """A net in TEST phase with its preprocessing (`transformer`) and sizes (`image_dims`, `crop_dims`).

    Pictures are resized to `image_dims` (default: the net's input size), from which crops of the
    input's size are taken.
    """

    def __init__(
        self,
        model_file: Path,
        pretrained_file: Path,
        image_dims: Sequence[int] | None = None,
        mean: np.ndarray | None = None,
        input_scale: float | None = None,
        raw_scale: float | None = None,
        channel_swap: Sequence[int] | None = None,
        **others: Any,
    ) -> None:
        refuse_keywords("caffe.Classifier", others, _KEYWORDS, OF_CLASSIFIER)
        super().__init__(model_file, TEST, weights=pretrained_file)
        self.transformer = input_transformer(self, mean, input_scale, raw_scale, channel_swap)
        self.crop_dims = np.array(self.blobs[self.inputs[0]].data.shape[2:])
        self.image_dims = self.crop_dims if image_dims is None else image_dims

    def predict(self, inputs: Sequence[np.ndarray], oversample: bool = True) -> np.ndarray:
        """Class probabilities (pictures, classes) of (height, width, channels) pictures.

        With `oversample` the mean over ten crops: corners and centre, and the same mirrored. Without
        it, of the centre alone, in the net's output shape.
        """
        inputs = list(inputs)
        if not inputs:
            raise ValueError("predict needs at least one picture, got none")
        images = np.stack([io.resize_image(image, self.image_dims) for image in inputs])
        if oversample:
            images = io.oversample(images, self.crop_dims)
        else:
            centre = np.array(self.image_dims) / 2.0
            top, left = (centre - self.crop_dims / 2.0).astype(int)
            bottom, right = (centre + self.crop_dims / 2.0).astype(int)
            images = images[:, top:bottom, left:right]
        name = self.inputs[0]
        batch = np.stack([self.transformer.preprocess(name, image) for image in images])
        predictions = self.forward_all(**{name: batch})[self.outputs[0]]
        if oversample:
            predictions = predictions.reshape(len(predictions) // 10, 10, -1).mean(1)
        return predictions
