"""What FlowNet2's nets begin with, and join maps with: DataAugmentation, Eltwise of one bottom, Accum
(data_augmentation_layer.cu, eltwise_layer.cpp, accum_layer.cpp)."""

from __future__ import annotations

import torch
from torch.nn.functional import interpolate

from ...layer import Layer, meaning, register
from ..eltwise import Eltwise

aten = torch.ops.aten


@register
class DataAugmentation(Layer):
    """Pictures less their mean, cut to crop_height and crop_width around the middle.

    With recompute_mean the mean is that of the first so many passes, in TEST, too; its blobs, which are
    never learned: the passes so far, the mean of each pixel, of each channel (subtracted if mean_per_pixel
    is false). Else `mean`, three numbers. Random transformations are not built in. No gradient.
    """

    fork = "FlowNet2"
    num_bottom, num_top = (1, 2), (1, 2)
    updates_parameters = capturable = True
    param_type = "Augmentation"

    def setup(self, bottom, top):
        p = self.param
        random = [f.name for f, _ in p.ListFields() if f.type == f.TYPE_MESSAGE]
        if len(bottom) > 1 or len(top) > 1 or random and (self.phase == 0 or p.augment_during_test):
            raise self.error(
                "random transformations are not built in, and coefficients of them neither taken nor given "
                f"({', '.join(random) or 'a second bottom or top'}): train on pictures that a Python layer "
                "has transformed",
                NotImplementedError,
            )
        self.blobs.add_blob(1, 1, 1, 1)
        if p.recompute_mean:
            num, channels, *sides = self.legacy_shape(bottom[0])
            self.blobs.add_blob(1, channels, *self.cut(sides))
            self.blobs.add_blob(1, channels, 1, 1)
            if not p.mean_per_pixel:
                self.keeps_its_shape = (1,)
        for blob in self.blobs:
            blob.data[...] = 0
        for _ in range(len(self.layer_param.param), len(self.blobs)):
            self.layer_param.param.add()
        for spec in self.layer_param.param:
            spec.lr_mult = spec.decay_mult = 0

    def cut(self, sides: list[int]) -> list[int]:
        """Height and width of the top."""
        p = self.param
        stated = p.HasField("crop_height") and p.HasField("crop_width")
        cut = [p.crop_height, p.crop_width] if stated else sides
        if cut[0] > sides[0] or cut[1] > sides[1] or min(cut) < 1:
            raise self.error(f"crop_height and crop_width {cut} lie within a picture of {sides}")
        return cut

    def reshape(self, bottom, top):
        num, channels, *self.sides = self.legacy_shape(bottom[0])
        self.size = self.cut(self.sides)
        top[0].set_shape([num, channels, *self.size])
        if self.param.recompute_mean and list(self.blobs[1].shape[2:]) != self.size:
            self.blobs[1].reshape(1, channels, *self.size)
            self.blobs[1].x.copy_(self.blobs[2].x.expand(tuple(self.blobs[1].shape)))
        if len(self.param.mean) == 3 != channels:
            raise self.error(f"mean holds 3 numbers, the pictures have {channels} channels")

    def middle(self, x: torch.Tensor) -> torch.Tensor:
        """The cut, between cells where the sides differ by an odd number; FlowNet2 reads no further than
        1.05 cells before the end."""
        for axis, side, wanted in zip((2, 3), self.sides, self.size):
            at = torch.arange(wanted, dtype=x.dtype, device=x.device) + (side - wanted) / 2
            at = at.clamp(0, max(side - 1.05, 0))
            low = at.floor().long()
            share = (at - low).view(-1, *[1] * (3 - axis))
            high = x.index_select(axis, (low + 1).clamp(max=side - 1))
            x = x.index_select(axis, low) * (1 - share) + high * share
        return x

    def forward(self, bottom, top):
        p, x = self.param, bottom[0].x.view(self.legacy_shape(bottom[0]))
        y = self.middle(x) if p.HasField("crop_height") and p.HasField("crop_width") else x
        count = self.blobs[0].x.add_(1)
        if p.recompute_mean:
            pixels, channels = self.blobs[1].x, self.blobs[2].x
            grown = pixels + (y.mean(0, keepdim=True) - pixels) / count
            learning = count <= p.recompute_mean
            pixels.copy_(torch.where(learning, grown, pixels))
            channels.copy_(torch.where(learning, pixels.mean((2, 3), keepdim=True), channels))
            y = y - (pixels if p.mean_per_pixel else channels)
        elif len(p.mean) == 3 and not p.mean_per_pixel:
            y = y - y.new_tensor(list(p.mean)).view(1, 3, 1, 1)
        top[0].x.copy_(y)

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            raise self.error(
                "has no gradient, but force_backward asks for one", NotImplementedError
            )


@meaning("Eltwise")
class LoneEltwise(Eltwise):
    """Eltwise of one bottom: coeff * bottom, by whatever operation."""

    fork = "FlowNet2"
    told_by = "one bottom alone"
    num_bottom = (1, None)  # `means` says one

    @classmethod
    def means(cls, layer_param):
        return len(layer_param.bottom) == 1

    def setup(self, bottom, top):
        super().setup(bottom, top)
        self.merge, self.part = Eltwise.sum, Eltwise.sum_part


@register
class Accum(Layer):
    """Maps enlarged bilinearly to one size, corners on corners, behind each other as channels.

    The size: that of the last bottom with have_reference, which is not among the maps; else the
    largest height and width, or, if both are larger, top_height and top_width, or the next multiples
    of size_divisible_by.
    """

    fork = "FlowNet2"
    num_bottom, num_top = (1, None), 1
    deterministic = repeatable = capturable = True

    def reshape(self, bottom, top):
        p, shapes = self.param, [self.legacy_shape(blob) for blob in bottom]
        self.maps = shapes[:-1] if p.have_reference else shapes
        if not self.maps or len({shape[0] for shape in self.maps}) > 1:
            raise self.error(
                f"needs maps, as many items each, got shapes {[list(s) for s in shapes]}"
            )
        largest = [max(shape[axis] for shape in shapes) for axis in (2, 3)]
        multiple = p.size_divisible_by
        wanted = (
            [-(-side // multiple) * multiple for side in largest]
            if multiple
            else [p.top_height, p.top_width]
        )
        larger = wanted[0] > largest[0] and wanted[1] > largest[1]
        self.size = list(shapes[-1][2:]) if p.have_reference else wanted if larger else largest
        top[0].set_shape([shapes[0][0], sum(shape[1] for shape in self.maps), *self.size])

    def forward(self, bottom, top):
        for y, x in self.parts(top[0].x, [blob.x for blob in bottom]):
            same = list(x.shape[2:]) == self.size
            y.copy_(x if same else interpolate(x, self.size, mode="bilinear", align_corners=True))

    def parts(self, y: torch.Tensor, bottoms: list) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """(channels of the top, the bottom as (N, C, H, W)) of each map."""
        channels = y.split([shape[1] for shape in self.maps], 1)
        return [(c, x.view(shape)) for c, x, shape in zip(channels, bottoms, self.maps)]

    def backward(self, top, propagate_down, bottom):
        for dy, dx, shape, wanted in zip(
            top[0].dx.split([shape[1] for shape in self.maps], 1),
            [blob.dx for blob in bottom],
            self.maps,
            propagate_down,
        ):
            if wanted:
                same = list(shape[2:]) == self.size
                diff = dy if same else aten.upsample_bilinear2d_backward(dy, self.size, shape, True)
                dx.view(shape).copy_(diff)
        if self.param.have_reference and propagate_down[-1]:
            bottom[-1].dx.zero_()  # it gives a size and no values
