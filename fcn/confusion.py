"""Confusion matrices of a net's passes: of its scores as they are, and refined by a dense CRF."""

import math

import numpy as np

import caffe
from fcn import crf
from fcn.finite_scores import require_finite
from fcn.measures import fast_hist
from fcn.predictions import array_predicted


class ArrayConfusionMatrix:
    """`caffe.ConfusionMatrix` in NumPy, for BVLC's pycaffe, which has none."""

    def __init__(self, net: caffe.Net, scores: str, truth: str, loss: str | None = None):
        """Of the blobs of these names."""
        self.scores, self.truth = net.blobs[scores], net.blobs[truth]
        self.loss = loss and net.blobs[loss]
        self.hist = np.zeros([self.scores.data.shape[1]] * 2, np.int64)
        self.each: list[float] = []

    def add(self) -> None:
        """Count the last pass."""
        truth = self.truth.data[0, 0].ravel()
        self.hist += fast_hist(truth, self.prediction().ravel(), len(self.hist))
        self.each += [float(self.loss.data.flat[0])] if self.loss else []

    def prediction(self) -> np.ndarray:
        """The class of each pixel in the last pass."""
        return array_predicted(self.scores)

    def losses(self) -> list[float]:
        """The loss of each pass."""
        return self.each

    def result(self) -> tuple[np.ndarray, float]:
        """The confusion matrix and the sum of the losses."""
        return self.hist, math.fsum(self.each)


class RefinedConfusionMatrix(ArrayConfusionMatrix):
    """Of scores that a dense CRF has refined. The loss is that of the net's own scores."""

    def __init__(
        self, net: caffe.Net, scores: str, truth: str, loss: str | None, parameters: crf.Parameters
    ):
        """Of the blobs of these names."""
        super().__init__(net, scores, truth, loss)
        self.net, self.name, self.parameters = net, scores, parameters

    def add(self) -> None:
        """Count the last pass; ValueError if picture and scores differ in size or scores are not finite."""
        require_finite(self.net, self.name)
        self.classes = crf.refined(self.net, self.name, self.parameters).argmax(0)
        super().add()

    def prediction(self) -> np.ndarray:
        """The class of each pixel in the pass that was counted last."""
        return self.classes


ConfusionMatrix = getattr(caffe, "ConfusionMatrix", ArrayConfusionMatrix)
