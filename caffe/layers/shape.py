"""Layers that move values without changing them: Split, Concat, Slice, Crop, Tile, Flatten,
Reshape, and Silence, which takes them and does nothing (src/caffe/layers/*_layer.cpp).

Where Caffe's tops share memory with their bottoms, so do these.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from ..blob import Blob
from ..layer import Layer, register


def share_again(bottom: Blob, top: Blob) -> None:
    """Let the bottom of a layer that copies nothing have its top's diff.

    The two share memory from `reshape` on, but a Flatten behind gives the top another. Where Caffe
    leaves it at that, the gradient is lost (its issue 6769).
    """
    bottom.share_diff(top)


@register
class Split(Layer):
    """Every top is bottom, in the same memory; bottom's diff is the sum of theirs."""

    num_bottom, num_top = 1, (1, None)
    deterministic = repeatable = capturable = True

    def reshape(self, bottom, top):
        for blob in top:
            if blob is bottom[0]:
                raise self.error("cannot work in place: give the tops other names than the bottom")
            blob.set_shape(bottom[0].shape)

    def forward(self, bottom, top):
        for blob in top:
            blob.share_data(bottom[0])

    def aliases_bottom(self, side):
        return side == "data"

    def affected_window(self, window):
        return window

    def backward(self, top, propagate_down, bottom):
        if not propagate_down[0]:
            return
        if len(top) == 1:
            bottom[0].dx.copy_(top[0].dx)
            return
        dx = torch.add(top[0].dx, top[1].dx, out=bottom[0].dx)
        for blob in top[2:]:
            dx.add_(blob.dx)


@register
class Silence(Layer):
    """Swallows its bottoms, so that they are no outputs; their gradient is 0."""

    num_bottom, num_top = (1, None), 0
    deterministic = capturable = True

    def reshape(self, bottom, top):
        pass

    def forward(self, bottom, top):
        pass

    def backward(self, top, propagate_down, bottom):
        for blob, propagates in zip(bottom, propagate_down):
            if propagates:
                blob.dx.zero_()


class AlongAxis(Layer):
    """Concat and Slice: an axis, which older prototxts call concat_dim and slice_dim."""

    old_field: str

    def setup(self, bottom, top):
        if self.param.HasField("axis") and self.param.HasField(self.old_field):
            raise self.error(f"give either axis or {self.old_field}, which is its older name")
        old = self.param.HasField(self.old_field)
        self.along = self.axis(bottom[0], getattr(self.param, self.old_field if old else "axis"))

    def aliases_bottom(self, side):
        return len(self.layer_param.bottom) == len(self.layer_param.top) == 1


@register
class Concat(AlongAxis):
    """top = bottoms, one after the other along `axis`. A single one shares its memory."""

    num_bottom, num_top = (1, None), 1
    old_field = "concat_dim"
    deterministic = repeatable = capturable = True

    def reshape(self, bottom, top):
        shape = list(bottom[0].shape)
        for blob in bottom:
            other = list(blob.shape)
            other[self.along : self.along + 1] = shape[self.along : self.along + 1]
            if other != shape:
                raise self.error(
                    f"bottoms may differ in axis {self.along} only, got shapes "
                    f"{list(bottom[0].shape)} and {list(blob.shape)}"
                )
        self.sizes = [blob.shape[self.along] for blob in bottom]
        shape[self.along] = sum(self.sizes)
        top[0].set_shape(shape)
        if len(bottom) == 1:
            top[0].share_data(bottom[0])
            top[0].share_diff(bottom[0])

    def forward(self, bottom, top):
        if len(bottom) > 1:
            torch.cat([blob.x for blob in bottom], self.along, out=top[0].x)

    def backward(self, top, propagate_down, bottom):
        if len(bottom) == 1:
            if propagate_down[0]:
                share_again(bottom[0], top[0])
            return
        parts = top[0].dx.split(self.sizes, self.along)
        for blob, part, propagates in zip(bottom, parts, propagate_down):
            if propagates:
                blob.dx.copy_(part)


@register
class Slice(AlongAxis):
    """tops = bottom, cut at each slice_point along `axis`, or into equal parts."""

    num_bottom, num_top = 1, (1, None)
    old_field = "slice_dim"
    deterministic = repeatable = capturable = True

    def reshape(self, bottom, top):
        shape = list(bottom[0].shape)
        self.sizes = self.cut(shape[self.along], len(top))
        for blob, size in zip(top, self.sizes):
            blob.set_shape([*shape[: self.along], size, *shape[self.along + 1 :]])
        if len(top) == 1:
            top[0].share_data(bottom[0])
            top[0].share_diff(bottom[0])

    def cut(self, size: int, parts: int) -> list[int]:
        """The sizes of the parts that an axis of `size` is cut into."""
        points = list(self.param.slice_point)
        if not points:
            if size % parts:
                raise self.error(
                    f"axis {self.along} of size {size} cannot be cut into {parts} equal parts; "
                    "give slice_point"
                )
            return [size // parts] * parts
        edges = [0, *points, size]
        if len(points) != parts - 1 or any(b <= a for a, b in zip(edges, edges[1:])):
            raise self.error(
                f"{parts} tops need {parts - 1} rising slice_points between 0 and {size}, the size "
                f"of axis {self.along}; got {points}"
            )
        return [b - a for a, b in zip(edges, edges[1:])]

    def forward(self, bottom, top):
        if len(top) > 1:
            for blob, part in zip(top, bottom[0].x.split(self.sizes, self.along)):
                blob.x.copy_(part)

    def backward(self, top, propagate_down, bottom):
        if not propagate_down[0]:
            return
        if len(top) == 1:
            share_again(bottom[0], top[0])
        else:
            torch.cat([blob.dx for blob in top], self.along, out=bottom[0].dx)


@register
class Crop(Layer):
    """top = bottom 0, cut to bottom 1's size on the axes from `axis` on, starting at `offset`.

    One offset serves all cropped axes. Bottom 1 gives its shape only: its diff is never written.
    """

    num_bottom, num_top = 2, 1
    deterministic = repeatable = capturable = True

    def reshape(self, bottom, top):
        source, reference = bottom[0].shape, bottom[1].shape
        start = self.axis(bottom[0], self.param.axis)
        cropped = len(source) - start
        offsets = list(self.param.offset) or [0]
        if len(offsets) not in (1, cropped):
            raise self.error(
                f"one offset, or one for each of the {cropped} axes from {start} on, is needed, "
                f"got {offsets}"
            )
        if len(reference) < len(source):
            raise self.error(
                f"bottom 1 must have as many axes as bottom 0, got shapes {list(source)} and "
                f"{list(reference)}"
            )
        offsets *= cropped // len(offsets)
        shape, window = list(source), [slice(None)] * start
        for i, offset in enumerate(offsets, start):
            if offset + reference[i] > source[i]:
                raise self.error(self.exceeds(i, offset, reference[i], source[i]))
            shape[i] = reference[i]
            window.append(slice(offset, offset + reference[i]))
        self.window = tuple(window)
        top[0].set_shape(shape)

    def exceeds(self, axis: int, offset: int, size: int, available: int) -> str:
        """The text of the error for a crop that does not fit."""
        text = f"axis {axis}: offset {offset} + size {size} exceeds bottom size {available}"
        if axis == 1:
            text += "; axis 1 are the channels: crop_param { axis: 2 } leaves them alone"
        return text

    def forward(self, bottom, top):
        top[0].x.copy_(bottom[0].x[self.window])

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            bottom[0].dx.zero_()[self.window].copy_(top[0].dx)


@register
class Tile(Layer):
    """top = bottom, repeated `tiles` times along `axis`."""

    num_bottom = num_top = 1
    deterministic = repeatable = True

    def setup(self, bottom, top):
        if self.param.tiles < 1:
            raise self.error("tiles must be given, and above 0")

    def reshape(self, bottom, top):
        along = self.axis(bottom[0], self.param.axis)
        shape = list(bottom[0].shape)
        self.tiled = (math.prod(shape[:along]), self.param.tiles, math.prod(shape[along:]))
        shape[along] *= self.param.tiles
        top[0].set_shape(shape)

    def forward(self, bottom, top):
        top[0].x.view(self.tiled).copy_(bottom[0].x.view(self.tiled[0], 1, self.tiled[2]))

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            dx = bottom[0].dx.view(self.tiled[0], self.tiled[2])
            torch.sum(top[0].dx.view(self.tiled), 1, out=dx)


@register
class Flatten(Layer):
    """top = bottom with its axes from `axis` to `end_axis` made one, in the same memory."""

    num_bottom = num_top = 1
    deterministic = repeatable = capturable = True

    def aliases_bottom(self, side):
        return True

    def reshape(self, bottom, top):
        if top[0] is bottom[0]:
            raise self.error("cannot work in place: give the top another name than the bottom")
        start = self.axis(bottom[0], self.param.axis)
        end = self.axis(bottom[0], self.param.end_axis, "end_axis") + 1
        shape = list(bottom[0].shape)
        top[0].set_shape([*shape[:start], math.prod(shape[start:end]), *shape[end:]])

    def forward(self, bottom, top):
        top[0].share_data(bottom[0])

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            bottom[0].share_diff(top[0])


@register
class Reshape(Layer):
    """top = bottom in another shape, in the same memory.

    The num_axes axes from `axis` on (-1: after the last) are replaced: 0 copies bottom's axis at
    that place, one -1 takes what is left.
    """

    num_bottom = num_top = 1
    deterministic = repeatable = capturable = True

    def setup(self, bottom, top):
        if top[0] is bottom[0]:
            raise self.error("cannot work in place: give the top another name than the bottom")
        self.dims = list(self.param.shape.dim)
        if self.dims.count(-1) > 1 or min(self.dims, default=0) < -1:
            raise self.error(f"shape may hold sizes, 0, and one -1; got {self.dims}")

    def aliases_bottom(self, side):
        return True

    def reshape(self, bottom, top):
        source, p = list(bottom[0].shape), self.param
        start = p.axis if p.axis >= 0 else len(source) + p.axis + 1
        end = len(source) if p.num_axes == -1 else start + p.num_axes
        if not 0 <= start <= end <= len(source):
            raise self.error(
                f"axis {p.axis} with num_axes {p.num_axes} does not fit a bottom of shape {source}"
            )
        dims = [self.copied(source, start + i) if d == 0 else d for i, d in enumerate(self.dims)]
        if -1 in dims:
            known = -math.prod(dims) * math.prod(source[:start] + source[end:])
            dims[dims.index(-1)] = bottom[0].count // known if known else 0
        shape = source[:start] + dims + source[end:]
        if math.prod(shape) != bottom[0].count:
            raise self.error(
                f"shape {self.dims} makes {shape} of a bottom of shape {source}: "
                f"{math.prod(shape)} values for {bottom[0].count}"
            )
        top[0].set_shape(shape)
        top[0].share_data(bottom[0])
        top[0].share_diff(bottom[0])

    def copied(self, source: Sequence[int], axis: int) -> int:
        """The size that a 0 in `shape` copies from the bottom."""
        if axis >= len(source):
            raise self.error(f"shape copies axis {axis}, which a bottom of shape {source} lacks")
        return source[axis]

    def forward(self, bottom, top):
        pass

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            share_again(bottom[0], top[0])
