"""Dense conditional random fields (Kraehenbuehl and Koltun 2011): DenseCRF of DeepLab and of CCNN,
MultiStageMeanfield of CRF-RNN (dense_crf_layer.cpp, densecrf_layer.cpp,
multi_stage_meanfield.cpp)."""

from __future__ import annotations

import os
from collections.abc import Sequence

import torch

from ...crf import Kernel, kernel_of_colours, kernel_of_positions, mean_field, positions
from ...files import allowed
from ...files.paths import read_bytes
from ...layer import Blobs, Layer, meaning, register
from ...proto import caffe_pb2
from ..loss import FLT_MIN
from .meanings import SeveralMeanings


@register
class DenseCRF(SeveralMeanings):
    """Scores refined by mean field, in which near cells of like colours want one class."""

    fork = "DeepLab, CCNN"


class CRFOutput(Layer):
    """Scores and picture in, one item after the other; no gradient."""

    param_type = "DenseCRF"
    num_top = 1
    fork = told_by = ""
    deterministic = True

    def check_sizes(self, scores: Sequence[int], picture: Sequence[int]) -> None:
        """Raise ValueError unless scores and picture are maps of one size."""
        if (
            len(scores) != 4
            or len(picture) != 4
            or (scores[0], *scores[2:])
            != (
                picture[0],
                *picture[2:],
            )
        ):
            raise self.error(
                f"scores (N, C, H, W) and picture must be of one size, got {list(scores)} and "
                f"{list(picture)}"
            )

    def backward(self, top, propagate_down, bottom):
        for blob, propagates in zip(bottom, propagate_down):
            if propagates:  # as there: training ends before the CRF
                blob.dx.zero_()


@meaning("DenseCRF")
class DeepLabCRF(CRFOutput):
    """DeepLab's: probabilities, or with output_probability: false their logarithms.

    Bottoms: scores (N, C, H, W); each picture's height and width (N, 1, 1, 2), beyond which the top is
    0; the picture as the net reads it. Kernels: pos_w with pos_xy_std, bi_w with bi_xy_std and
    bi_rgb_std.
    """

    fork = "DeepLab"
    told_by = "three bottoms, or dense_crf_param"
    num_bottom = 3

    @classmethod
    def means(cls, layer_param):
        other = layer_param.HasField("densecrf_param")
        return not other and (
            len(layer_param.bottom) != 2 or layer_param.HasField("dense_crf_param")
        )

    def setup(self, bottom, top):
        p = self.param
        if len(p.pos_w) != len(p.pos_xy_std):
            raise self.error(
                f"a pos_w for each pos_xy_std, got {list(p.pos_w)}, {list(p.pos_xy_std)}"
            )
        if not len(p.bi_w) == len(p.bi_xy_std) == len(p.bi_rgb_std):
            raise self.error(
                f"a bi_w for each bi_xy_std and bi_rgb_std, got {list(p.bi_w)}, {list(p.bi_xy_std)}, "
                f"{list(p.bi_rgb_std)}"
            )

    def reshape(self, bottom, top):
        self.check_sizes(bottom[0].shape, bottom[2].shape)
        if bottom[1].count != 2 * bottom[0].shape[0]:
            raise self.error(
                f"bottom 1 holds a height and a width for each of {bottom[0].shape[0]} pictures, its "
                f"shape is {list(bottom[1].shape)}"
            )
        top[0].set_shape(bottom[0].shape)

    def kernels(self, picture: torch.Tensor) -> list[tuple[float, Kernel]]:
        """The kernels of a picture, with their weights."""
        p, (height, width) = self.param, picture.shape[1:]
        found = [
            (weight, kernel_of_positions(height, width, deviation, picture))
            for weight, deviation in zip(p.pos_w, p.pos_xy_std)
        ]
        return found + [
            (weight, kernel_of_colours(picture, deviation, of_colour))
            for weight, deviation, of_colour in zip(p.bi_w, p.bi_xy_std, p.bi_rgb_std)
        ]

    def forward(self, bottom, top):
        y = top[0].x.zero_()
        for i, (height, width) in enumerate(bottom[1].x.view(-1, 2).long().tolist()):
            if not (0 < height <= y.shape[2] and 0 < width <= y.shape[3]):
                raise self.error(
                    f"picture {i} is said to be of {height}x{width}, the scores are of "
                    f"{y.shape[2]}x{y.shape[3]}"
                )
            scores = bottom[0].x[i, :, :height, :width]
            kernels = self.kernels(bottom[2].x[i, :, :height, :width])
            q = mean_field(scores.flatten(1), kernels, self.param.max_iter).view(scores.shape)
            if not self.param.output_probability:
                q = q.clamp(min=FLT_MIN).log()
            y[i, :, :height, :width] = q


@meaning("DenseCRF")
class CCNNCRF(CRFOutput):
    """CCNN's: the class of each cell (N, 1, H, W), after ten rounds. Bottoms: scores (N, C, H, W) and the
    picture's own BGR values. That the kernels are divided by their sums at each cell, as in DeepLab,
    is an assumption."""

    fork = "CCNN"
    told_by = "two bottoms, or densecrf_param"
    num_bottom = 2
    param_type = "CCNNDenseCRF"

    @classmethod
    def means(cls, layer_param):
        other = layer_param.HasField("dense_crf_param")
        return not other and (
            len(layer_param.bottom) == 2 or layer_param.HasField("densecrf_param")
        )

    def reshape(self, bottom, top):
        self.check_sizes(bottom[0].shape, bottom[1].shape)
        num, _, height, width = bottom[0].shape
        if bottom[1].shape[1] != 3:
            raise self.error(f"the picture has three channels, got shape {list(bottom[1].shape)}")
        top[0].set_shape([num, 1, height, width])

    def forward(self, bottom, top):
        p, (_, _, height, width) = self.param, bottom[0].shape
        near = positions(height, width, bottom[0].x)

        def over(*deviations: float) -> torch.Tensor:
            return near.new_tensor(deviations).view(-1, 1, 1)

        gauss = Kernel(near / over(p.x_gauss, p.y_gauss))
        colours = over(p.b_bilateral, p.g_bilateral, p.r_bilateral)
        for scores, picture, y in zip(bottom[0].x, bottom[1].x, top[0].x):
            features = torch.cat([near / over(p.x_bilateral, p.y_bilateral), picture / colours])
            kernels = [(p.wt_gauss, gauss), (p.wt_bilateral, Kernel(features))]
            y[0] = mean_field(scores.flatten(1), kernels, 10).argmax(0).view(height, width)


@register
class MultiStageMeanfield(Layer):
    """Mean field as layers of a recurrent net, whose weights are learned: scores, not normalized.

    Bottoms: unary scores u (N, C, H, W), scores to start from, the picture as the net reads it. A round
    is u - compatibility * (spatial * F_s P + bilateral * F_b P), P the softmax of the scores before, F
    the means by the kernels. Blobs, each (1, 1, C, C): spatial and bilateral weights, diagonal, from
    the strings, or the files spatial.par and bilateral.par in the working folder, or the numbers;
    compatibility, -1 on the diagonal. Unlike CRF-RNN, batches, other sizes and iter_size work.
    """

    fork = "CRF-RNN"
    num_bottom, num_top = 3, 1
    deterministic = True

    def allow_force_backward(self, bottom_index):
        return bottom_index < 2

    def setup(self, bottom, top):
        p, classes = self.param, self.legacy_shape(bottom[0])[1]
        if p.num_iterations < 1 or min(p.theta_alpha, p.theta_beta, p.theta_gamma) <= 0:
            raise self.error(
                f"num_iterations and the deviations must be above 0, got {p.num_iterations} and "
                f"theta_alpha {p.theta_alpha}, theta_beta {p.theta_beta}, theta_gamma {p.theta_gamma}"
            )
        for kind in ("spatial", "bilateral"):
            self.add_matrix(self.diagonal(kind, classes))
        self.add_matrix([-1.0] * classes)
        self.spatial: tuple = ()

    def add_matrix(self, diagonal: Sequence[float]) -> None:
        """One more blob, of that diagonal."""
        size = len(diagonal)
        self.blobs.add_blob(1, 1, size, size)
        blob = self.blobs[-1]
        blob.x = torch.diag(blob.x.new_tensor(diagonal)).view(tuple(blob.shape))

    def diagonal(self, kind: str, classes: int) -> list[float]:
        """The weights of a kernel that the layer begins with, one a class."""
        text, where = (
            getattr(self.param, f"{kind}_filter_weights_str"),
            f"{kind}_filter_weights_str",
        )
        if not text and os.path.isfile(f"{kind}.par"):
            where = f"the file {kind}.par"
            text = os.fsdecode(read_bytes(allowed.to_read(f"{kind}.par")))
        if not text:
            return [getattr(self.param, f"{kind}_filter_weight")] * classes
        try:
            numbers = [float(word) for word in text.replace(",", " ").split()]
        except ValueError as error:
            raise self.error(f"{where}: {error}") from error
        if len(numbers) != classes:
            raise self.error(f"{where} has {len(numbers)} numbers for {classes} classes")
        return numbers

    def reshape(self, bottom, top):
        shape, classes = list(bottom[0].shape), self.blobs[0].shape[2]
        picture = list(bottom[2].shape)
        fits = len(shape) == len(picture) == 4 and shape == list(bottom[1].shape)
        if not fits or shape[1] != classes or (shape[0], *shape[2:]) != (picture[0], *picture[2:]):
            raise self.error(
                f"needs two maps of scores of {classes} classes and a picture, all of one size, got "
                f"shapes {[list(blob.shape) for blob in bottom]}"
            )
        top[0].set_shape(shape)

    def kernels(self, picture: torch.Tensor) -> tuple[Kernel, Kernel]:
        """The kernel of positions, which is kept while the size stays, and that of colours."""
        p, (height, width) = self.param, picture.shape[1:]
        key = height, width, picture.dtype, picture.device
        if self.spatial[:1] != (key,):
            self.spatial = key, kernel_of_positions(height, width, p.theta_gamma, picture)
        return self.spatial[1], kernel_of_colours(picture, p.theta_alpha, p.theta_beta)

    def matrices(self) -> list[torch.Tensor]:
        """Spatial weights, bilateral weights, compatibility: each (C, C)."""
        return [blob.x[0, 0] for blob in self.blobs]

    def rounds(
        self, bottom: Blobs, item: int, kernels: tuple[Kernel, Kernel]
    ) -> tuple[torch.Tensor, list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]]:
        """(scores after the last round, [(P, F_s P, F_b P) of each round]) of an item."""
        spatial, bilateral, compatibility = self.matrices()
        unary, x = (blob.x[item].flatten(1) for blob in bottom[:2])
        kept = []
        for _ in range(self.param.num_iterations):
            p = torch.softmax(x, 0)
            near, alike = (kernel.filter(p) for kernel in kernels)
            x = unary - compatibility @ (spatial @ near + bilateral @ alike)
            kept.append((p, near, alike))
        return x, kept

    def forward(self, bottom, top):
        keeps = self.phase == caffe_pb2.TRAIN or self.for_gradients
        self.kept: list = []
        for i in range(bottom[0].shape[0]):
            kernels = self.kernels(bottom[2].x[i])
            x, kept = self.rounds(bottom, i, kernels)
            top[0].x[i] = x.view(top[0].x[i].shape)
            if keeps:
                self.kept.append((kernels, kept))

    def backward(self, top, propagate_down, bottom):
        if propagate_down[2]:  # the kernels are taken as given
            bottom[2].dx.zero_()
        spatial, bilateral, compatibility = self.matrices()
        for i in range(bottom[0].shape[0]):
            if self.kept:
                kernels, rounds = self.kept[i]
            else:
                kernels = self.kernels(bottom[2].x[i])
                rounds = self.rounds(bottom, i, kernels)[1]
            g = top[0].dx[i].flatten(1)
            of_unary = torch.zeros_like(g)
            for p, near, alike in reversed(rounds):
                of_unary += g
                of_message = -compatibility.T @ g
                message = spatial @ near + bilateral @ alike
                changes = (of_message @ near.T, of_message @ alike.T, -g @ message.T)
                for blob, learns, change in zip(self.blobs, self.param_propagate_down, changes):
                    if learns:
                        blob.dx[0, 0] += change
                of_p = kernels[0].transposed(spatial.T @ of_message)
                of_p += kernels[1].transposed(bilateral.T @ of_message)
                g = p * (of_p - (of_p * p).sum(0))
            for blob, propagates, gradient in zip(bottom, propagate_down, (of_unary, g)):
                if propagates:
                    blob.dx[i] = gradient.view(blob.dx[i].shape)
