"""Layers that pick items of a batch: BatchReindex, Filter
(src/caffe/layers/batch_reindex_layer.cpp, filter_layer.cpp)."""

import torch

from .. import context
from ..layer import Layer, register


@register
class BatchReindex(Layer):
    """top[i] = bottom 0[index[i]], the index being bottom 1; items may come more than once."""

    num_bottom, num_top = 2, 1

    def reshape(self, bottom, top):
        if bottom[1].num_axes != 1:
            raise self.error(f"the index must have one axis, got shape {list(bottom[1].shape)}")
        top[0].set_shape([bottom[1].shape[0], *bottom[0].shape[1:]])

    def forward(self, bottom, top):
        self.index = bottom[1].x.long()
        if not self.index.numel():
            return
        last = bottom[0].shape[0] - 1
        self.check_range(self.index, self.check_extremes, last)
        if (
            context.on_gpu()
        ):  # the error is deferred: nothing may be read beyond the batch until then
            self.index.clamp_(0, last)
        torch.index_select(bottom[0].x, 0, self.index, out=top[0].x)

    def check_extremes(self, low: int, high: int, last: int) -> None:
        """Raise ValueError for an index beyond 0..last."""
        if low < 0 or high > last:
            raise self.error(
                f"indices must lie in 0..{last}, the batch of bottom 0, got {low}..{high}"
            )

    def backward(self, top, propagate_down, bottom):
        if propagate_down[1]:
            raise self.error(
                "cannot pass a gradient to the index, but force_backward asks for one",
                NotImplementedError,
            )
        if propagate_down[0]:
            bottom[0].dx.zero_().index_add_(0, self.index, top[0].dx)


@register
class Filter(Layer):
    """Each top holds the items of its bottom whose selector, in the last bottom, is not 0.

    When the net is built the tops have the full batch. Selecting nothing gives size 0, which has no
    backward.
    """

    num_bottom, num_top = (2, None), (1, None)
    shapes_follow_values = True

    def setup(self, bottom, top):
        if len(top) != len(bottom) - 1:
            raise self.error(
                f"needs one top for each bottom but the last, got {len(bottom)} bottoms and "
                f"{len(top)} tops"
            )
        self.built = False

    def reshape(self, bottom, top):
        *sources, selector = bottom
        num = selector.shape[0] if selector.num_axes else 1
        if selector.count != num:
            raise self.error(
                f"the selector holds one value for each item, its shape is {list(selector.shape)}"
            )
        for blob in sources:
            if blob.shape[0] != num:
                raise self.error(
                    f"the selector has {num} values for {blob.shape[0]} items of a bottom of shape "
                    f"{list(blob.shape)}"
                )
        if self.built:
            self.kept = selector.x.view(-1).nonzero().view(-1)
        else:
            self.kept = torch.arange(num, device=selector.x.device)
        self.built = True
        for source, blob in zip(sources, top):
            blob.set_shape([len(self.kept), *source.shape[1:]])

    def forward(self, bottom, top):
        for source, blob in zip(bottom, top):
            torch.index_select(source.x, 0, self.kept, out=blob.x)

    def backward(self, top, propagate_down, bottom):
        if propagate_down[-1]:
            raise self.error(
                "cannot pass a gradient to the selector, but force_backward asks for one",
                NotImplementedError,
            )
        if not len(self.kept):
            raise self.error("selected none of its items, so that there is no gradient to pass on")
        for source, blob, propagates in zip(bottom, top, propagate_down):
            if propagates:
                source.dx.zero_().index_copy_(0, self.kept, blob.dx)
