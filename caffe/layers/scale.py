"""Scale and Bias: a smaller blob, learned or a second bottom, spread over bottom
(src/caffe/layers/scale_layer.cpp, bias_layer.cpp)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from ..blob import Blob
from ..filler import add_filled
from ..layer import Blobs, Layer, register
from ..proto.caffe_pb2 import FillerParameter


class Broadcast(Layer):
    """The operand fits bottom's axes from `axis` on. Learned, it has num_axes of them (-1: all)."""

    num_bottom, num_top = (1, 2), 1

    def operand_shape(self, bottom: Blob) -> Sequence[int]:
        """Shape of a learned operand."""
        p = self.param
        axis = self.axis(bottom, p.axis)
        end = bottom.num_axes if p.num_axes == -1 else axis + p.num_axes
        if p.num_axes < -1 or end > bottom.num_axes:
            raise self.error(
                f"num_axes {p.num_axes} from axis {axis} on exceeds a bottom of shape "
                f"{list(bottom.shape)}"
            )
        return bottom.shape[axis:end]

    def view(self, bottom: Blob, operand: Blob) -> tuple[int, int, int]:
        """(outer, inner): how the operand lies in bottom, which is (outer, operand, inner)."""
        axis = self.axis(bottom, self.param.axis) if operand.num_axes else 0
        end = axis + operand.num_axes
        if list(bottom.shape[axis:end]) != list(operand.shape):
            raise self.error(
                f"a blob of shape {list(operand.shape)} does not fit a bottom of shape "
                f"{list(bottom.shape)} from axis {axis} on"
            )
        return (math.prod(bottom.shape[:axis]), operand.count, math.prod(bottom.shape[end:]))

    def operand(self, bottom: Blobs) -> Blob:
        """The second bottom, or the learned blob."""
        return bottom[1] if len(bottom) > 1 else self.blobs[0]

    def reshape(self, bottom, top):
        self.shape = self.view(bottom[0], self.operand(bottom))
        top[0].set_shape(bottom[0].shape)

    def operand_backward(self, gradient: torch.Tensor, bottom: Blobs) -> None:
        """The operand's gradient, a flat tensor: assigned to a bottom, added to a parameter."""
        if len(bottom) > 1:
            bottom[1].dx.view(-1).copy_(gradient)
        elif self.overwrites():
            self.blobs[0].dx.view(-1).copy_(gradient)
        else:
            self.blobs[0].dx.view(-1).add_(gradient)

    def overwrites(self) -> bool:
        """Whether a parameter's diff is assigned, against the rule."""
        return False

    def wants_operand(self, propagate_down: Sequence[bool]) -> bool:
        """Whether the operand gets a gradient."""
        return propagate_down[1] if len(propagate_down) > 1 else self.param_propagate_down[0]


@register
class Bias(Broadcast):
    """y = x + b, b spread over x. May work in place."""

    deterministic = repeatable = capturable = True

    def setup(self, bottom, top):
        if len(bottom) == 1:
            add_filled(self, self.operand_shape(bottom[0]), self.param.filler)

    def forward(self, bottom, top):
        bias = self.operand(bottom).x.view(-1, 1)
        torch.add(bottom[0].x.view(self.shape), bias, out=top[0].x.view(self.shape))

    def backward(self, top, propagate_down, bottom):
        dy = top[0].dx
        if self.wants_operand(propagate_down):
            self.operand_backward(dy.view(self.shape).sum((0, 2)), bottom)
        if propagate_down[0] and bottom[0] is not top[0]:
            bottom[0].dx.copy_(dy)


@register
class Scale(Broadcast):
    """y = x * s + b, s spread over x, b (with bias_term) a parameter of s's shape.

    May work in place. Else a learned s leaves dy * x in bottom's diff where nothing is to be
    propagated.
    """

    deterministic = repeatable = capturable = True
    saved_for_backward = {"before": 4}

    def setup(self, bottom, top):
        p = self.param
        if len(bottom) == 1:
            one = FillerParameter(type="constant", value=1)
            filler = p.filler if p.HasField("filler") else one
            add_filled(self, self.operand_shape(bottom[0]), filler)
        if p.bias_term:
            add_filled(self, self.operand(bottom).shape, p.bias_filler)

    def overwrites(self) -> bool:
        """scale_layer.cpp has nothing to sum, or sums into the diff itself, where no axis lies
        before s's: gradients of iter_size passes, or of layers sharing s, do not add up there."""
        outer, size, inner = self.shape
        return outer == 1 and (size > 1 or inner == 1)

    def forward(self, bottom, top):
        x = bottom[0].x.view(self.shape)
        self.before = x.clone() if top[0] is bottom[0] else None  # backward needs what was here
        y = top[0].x.view(self.shape)
        torch.mul(x, self.operand(bottom).x.view(-1, 1), out=y)
        if self.param.bias_term:
            y.add_(self.blobs[-1].x.view(-1, 1))

    def channel_factors(self):
        if len(self.layer_param.bottom) > 1 or self.blobs[0].num_axes != 1 or self.param.axis != 1:
            return None
        return self.blobs[0].x, self.blobs[1].x if self.param.bias_term else None

    def backward(self, top, propagate_down, bottom):
        dy = top[0].dx.view(self.shape)
        if self.param.bias_term and self.param_propagate_down[len(self.blobs) - 1]:
            self.blobs[-1].dx.view(-1).add_(dy.sum((0, 2)))
        if self.wants_operand(propagate_down):
            before = self.before() if callable(self.before) else self.before
            if before is None:  # bottom's diff holds the product, as it does in Caffe
                x, product = bottom[0].x.view(self.shape), bottom[0].dx.view(self.shape)
            else:
                x = product = before
            self.operand_backward(torch.mul(dy, x, out=product).sum((0, 2)), bottom)
        if propagate_down[0]:
            scale = self.operand(bottom).x.view(-1, 1)
            torch.mul(dy, scale, out=bottom[0].dx.view(self.shape))
