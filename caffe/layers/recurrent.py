"""RNN, LSTM and the LSTM's unit (src/caffe/layers/recurrent_layer.cpp, rnn_layer.cpp,
lstm_layer.cpp, lstm_unit_layer.cpp), their steps in time written out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from ..blob import Blob
from ..filler import add_filled
from ..layer import Blobs, Layer, register


class Recurrent(Layer):
    """Bottoms: x (T, N, ...), cont (T, N), 0 where a sequence begins; then a static input (N, ...)
    if there is one; with expose_hidden the states before the first step, and as further tops those
    after the last, which take and give no gradients.

    Otherwise the state survives from one forward to the next.
    """

    param_type = "Recurrent"
    states: int  # how many hidden states there are
    gates: int  # rows of the input's weights for each output

    def allow_force_backward(self, bottom_index):
        return bottom_index != 1

    def setup(self, bottom, top):
        p = self.param
        if p.num_output < 1:
            raise self.error("num_output must be given, and above 0")
        exposed = self.states if p.expose_hidden else 0
        if len(bottom) - exposed not in (2, 3) or len(top) != 1 + exposed:
            raise self.error(
                f"takes x, cont, perhaps a static input, and {exposed} exposed states; gives 1 + "
                f"{exposed} tops; got {len(bottom)} bottoms and {len(top)} tops"
            )
        self.exposed = exposed
        self.has_static = len(bottom) - exposed == 3
        self.check(bottom)
        hidden, rows = p.num_output, p.num_output * self.gates
        self.add_weights(rows, math.prod(bottom[0].shape[2:]))
        self.add_bias(rows)
        if self.has_static:
            self.add_weights(rows, math.prod(bottom[2].shape[1:]))
        self.add_weights(rows, hidden)
        self.state = [Blob() for _ in range(self.states)]

    def resume_state(self):
        return [[list(blob.shape), blob.x.flatten().tolist()] for blob in self.state]

    def resume_from(self, state):
        for blob, (shape, values) in zip(self.state, state):
            blob.set_shape(shape)
            blob.x = torch.tensor(values, dtype=blob.x.dtype, device=blob.x.device).view(shape)

    def add_weights(self, rows: int, columns: int) -> None:
        """Add a filled matrix to the blobs."""
        add_filled(self, [rows, columns], self.param.weight_filler)

    def add_bias(self, rows: int) -> None:
        """Add filled biases to the blobs."""
        add_filled(self, [rows], self.param.bias_filler)

    def check(self, bottom):
        x, cont = list(bottom[0].shape), list(bottom[1].shape)
        if len(x) < 2 or cont != x[:2]:
            raise self.error(f"needs x (T, N, ...) and cont (T, N), got shapes {x} and {cont}")
        if self.has_static and list(bottom[2].shape[:1]) != x[1:2]:
            raise self.error(
                f"the static input must hold one item for each of {x[1]} sequences, its shape is "
                f"{list(bottom[2].shape)}"
            )
        for blob in bottom[len(bottom) - self.exposed :]:
            if list(blob.shape) != [1, x[1], self.param.num_output]:
                raise self.error(
                    f"exposed states must have shape {[1, x[1], self.param.num_output]}, got "
                    f"{list(blob.shape)}"
                )

    def reshape(self, bottom, top):
        self.check(bottom)
        steps, num = bottom[0].shape[:2]
        top[0].set_shape([steps, num, self.param.num_output])
        for blob in [*top[1:], *self.state]:
            blob.set_shape([1, num, self.param.num_output])

    def start(self, bottom: Blobs) -> list[torch.Tensor]:
        """The states before the first step, each (N, H)."""
        if self.exposed:
            return [blob.x[0] for blob in bottom[-self.exposed :]]
        return [blob.x[0].clone() for blob in self.state]  # backward needs what was here

    def inputs(self, bottom: Blobs) -> torch.Tensor:
        """What does not depend on the state: W x + b (+ W static), for all steps at once."""
        x = bottom[0].x
        z = torch.addmm(
            self.blobs[1].x, x.view(x.shape[0] * x.shape[1], -1), self.blobs[0].x.t()
        ).view(*x.shape[:2], -1)
        if self.has_static:
            z += bottom[2].x.view(x.shape[1], -1) @ self.blobs[2].x.t()
        return z

    @property
    def recurrent(self) -> int:
        """Index of the weights from state to state."""
        return 3 if self.has_static else 2

    def finish(self, state: Sequence[torch.Tensor], top: Blobs) -> None:
        """Keep the states after the last step, and give them out where they are exposed."""
        for blob, s in zip([*self.state, *top[1:]], [*state, *state]):
            blob.x.copy_(s[None])

    def inputs_backward(
        self, dz: torch.Tensor, propagate_down: Sequence[bool], bottom: Blobs
    ) -> None:
        """From the gradient of `inputs` to the bottoms' and the weights'."""
        if propagate_down[1]:
            raise self.error("cannot pass a gradient to cont", NotImplementedError)
        steps, num, rows = dz.shape
        flat, x = dz.view(-1, rows), bottom[0].x.view(steps * num, -1)
        self.add_gradient(0, flat.t() @ x)
        self.add_gradient(1, flat.sum(0))
        if propagate_down[0]:
            torch.mm(flat, self.blobs[0].x, out=bottom[0].dx.view(steps * num, -1))
        if self.has_static:
            total = dz.sum(0)
            self.add_gradient(2, total.t() @ bottom[2].x.view(num, -1))
            if propagate_down[2]:
                torch.mm(total, self.blobs[2].x, out=bottom[2].dx.view(num, -1))

    def add_gradient(self, index: int, gradient: torch.Tensor) -> None:
        """lr_mult 0 spares nothing here: Caffe's unrolled net does not know of it."""
        self.blobs[index].dx.add_(gradient)


@register
class RNN(Recurrent):
    """h = tanh(W_hh (cont * h) + W_xh x + b_h); top = tanh(W_ho h + b_o).

    Blobs: W_xh, b_h, [W_static], W_hh, W_ho, b_o.
    """

    num_bottom, num_top = (2, 4), (1, 2)
    states = gates = 1

    def setup(self, bottom, top):
        super().setup(bottom, top)
        self.add_weights(self.param.num_output, self.param.num_output)
        self.add_bias(self.param.num_output)

    def forward(self, bottom, top):
        z, cont = self.inputs(bottom), bottom[1].x.unsqueeze(2)
        w_hh, w_ho, b_o = (self.blobs[self.recurrent + i].x for i in range(3))
        (h,) = self.start(bottom)
        self.before, self.hidden = torch.empty_like(z), torch.empty_like(z)
        for t in range(len(z)):
            torch.mul(h, cont[t], out=self.before[t])
            h = torch.tanh(torch.addmm(z[t], self.before[t], w_hh.t()), out=self.hidden[t])
        flat = torch.addmm(b_o, self.hidden.view(-1, h.shape[1]), w_ho.t())
        torch.tanh(flat, out=top[0].x.view(flat.shape))
        self.finish([h], top)

    def backward(self, top, propagate_down, bottom):
        at, size = self.recurrent, self.param.num_output
        w_hh, w_ho = self.blobs[at].x, self.blobs[at + 1].x
        d_out = (top[0].dx * (1 - top[0].x.square())).view(-1, size)
        self.add_gradient(at + 1, d_out.t() @ self.hidden.view(-1, size))
        self.add_gradient(at + 2, d_out.sum(0))
        dz = (d_out @ w_ho).view(self.hidden.shape)
        cont = bottom[1].x.unsqueeze(2)
        for t in reversed(range(len(dz))):
            if t + 1 < len(dz):
                dz[t] += (dz[t + 1] @ w_hh) * cont[t + 1]
            dz[t] *= 1 - self.hidden[t].square()
        self.add_gradient(at, dz.view(-1, size).t() @ self.before.view(-1, size))
        self.inputs_backward(dz, propagate_down, bottom)


def unit(c: torch.Tensor, gates: torch.Tensor, cont: torch.Tensor) -> tuple[Any, ...]:
    """One step of an LSTM from c (N, H), gates (N, 4H), cont (N, 1): c, h, what backward needs."""
    i, f, o, g = gates.chunk(4, 1)
    i, o, g = i.sigmoid(), o.sigmoid(), g.tanh()
    f = torch.where(cont == 0, 0, cont * f.sigmoid())
    new = f * c + i * g
    tanh_c = new.tanh()
    return new, o * tanh_c, (c, i, f, o, g, tanh_c)


def unit_backward(dc: torch.Tensor, dh: torch.Tensor, kept: tuple[Any, ...]) -> tuple[Any, ...]:
    """Gradients of c and gates from those of the new c and h."""
    c, i, f, o, g, tanh_c = kept
    dc = dc + dh * o * (1 - tanh_c.square())
    d_gates = (
        dc * g * i * (1 - i),
        dc * c * f * (1 - f),
        dh * tanh_c * o * (1 - o),
        dc * i * (1 - g * g),
    )
    return dc * f, torch.cat(d_gates, 1)


@register
class LSTM(Recurrent):
    """Gates (i, f, o, g) = W_x x + b + W_h (cont * h); c = cont * f * c + i * g; h = o * tanh(c).

    The top is h.

    Blobs: W_x, b, [W_static], W_h, the rows by gate in this order.
    """

    num_bottom, num_top = (2, 5), (1, 3)
    states, gates = 2, 4

    def forward(self, bottom, top):
        z, cont = self.inputs(bottom), bottom[1].x.unsqueeze(2)
        w_h = self.blobs[self.recurrent].x
        h, c = self.start(bottom)
        y = top[0].x
        self.before, self.kept = torch.empty_like(y), []
        for t in range(len(z)):
            torch.mul(h, cont[t], out=self.before[t])
            c, h, kept = unit(c, torch.addmm(z[t], self.before[t], w_h.t()), cont[t])
            y[t] = h
            self.kept.append(kept)
        self.finish([h, c], top)

    def backward(self, top, propagate_down, bottom):
        w_h, cont, dy = self.blobs[self.recurrent].x, bottom[1].x.unsqueeze(2), top[0].dx
        dz = dy.new_empty(*dy.shape[:2], 4 * dy.shape[2])
        dh = dc = torch.zeros_like(dy[0])
        for t in reversed(range(len(dz))):
            dc, dz[t] = unit_backward(dc, dy[t] + dh, self.kept[t])
            dh = (dz[t] @ w_h) * cont[t]
        self.add_gradient(
            self.recurrent,
            dz.view(-1, dz.shape[2]).t() @ self.before.view(-1, dy.shape[2]),
        )
        self.inputs_backward(dz, propagate_down, bottom)


@register
class LSTMUnit(Layer):
    """One step of an LSTM: c (1, N, H), gates (1, N, 4H), cont (1, N) to c and h (1, N, H)."""

    num_bottom, num_top = 3, 2

    def allow_force_backward(self, bottom_index):
        return bottom_index != 2

    def reshape(self, bottom, top):
        c, gates, cont = (list(blob.shape) for blob in bottom)
        if len(c) != 3 or c[0] != 1 or gates != [1, c[1], 4 * c[2]] or cont != [1, c[1]]:
            raise self.error(
                f"needs c (1, N, H), gates (1, N, 4H) and cont (1, N), got shapes {c}, {gates}, "
                f"{cont}"
            )
        for blob in top:
            blob.set_shape(c)

    def forward(self, bottom, top):
        c, h, self.kept = unit(bottom[0].x[0], bottom[1].x[0], bottom[2].x[0][:, None])
        top[0].x.copy_(c[None])
        top[1].x.copy_(h[None])

    def backward(self, top, propagate_down, bottom):
        if propagate_down[2]:
            raise self.error("cannot pass a gradient to cont", NotImplementedError)
        gradients = unit_backward(top[0].dx[0], top[1].dx[0], self.kept)
        for i, gradient in enumerate(gradients):
            if propagate_down[i]:
                bottom[i].dx.copy_(gradient[None])
