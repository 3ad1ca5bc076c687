"""Functions and classes that exported files hold a copy of, where PyTorch has no word for a layer.

Each stands alone, or calls those that its writer names with it: it is copied as it is.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# ---- shapes and choices


def crop(x: Tensor, like: Tensor, axis: int, offsets: list[int]) -> Tensor:
    """x, cut to the size of `like` on the axes from `axis` on, beginning at the offsets."""
    for at, offset in enumerate(offsets, axis):
        x = x.narrow(at, offset, like.shape[at])
    return x


def at_axis(layer: nn.Module, x: Tensor, axis: int) -> Tensor:
    """A layer of (N, C, ...) on an x whose channels are at another axis than 1."""
    if axis == 0:
        return layer(x[None])[0]
    return layer(x.flatten(0, axis - 1)).unflatten(0, x.shape[:axis])


def kept_items(selector: Tensor, *xs: Tensor) -> Tensor | tuple[Tensor, ...]:
    """The items of each x whose selector is not 0."""
    kept = selector.flatten().nonzero().flatten()
    return xs[0][kept] if len(xs) == 1 else tuple(x[kept] for x in xs)


def maximum(x: Tensor, *others: Tensor) -> Tensor:
    """The largest of each cell: of the first two the second wins a tie, a later one does not."""
    y = torch.where(x > others[0], x, others[0])
    for other in others[1:]:
        y = torch.where(other > y, other, y)
    return y


def arg_max(x: Tensor, axis: int | None, k: int, values: bool) -> Tensor:
    """The indices of the k largest, the larger index first where they are equal.

    Without an axis over everything but the first: (N, 1, k), with values (N, 2, k). With one, that
    axis is k; with values these and no indices.
    """
    rows = x.flatten(1) if axis is None else x.movedim(axis, -1)
    found, order = rows.flip(-1).sort(dim=-1, descending=True, stable=True)
    found, index = found[..., :k], (rows.shape[-1] - 1 - order[..., :k]).to(x.dtype)
    if axis is not None:
        return (found if values else index).movedim(-1, axis)
    result = torch.stack([index, found] if values else [index], 1)
    return result.reshape(*result.shape, *[1] * (x.dim() - 3))


# ---- windows


def beyond(size: int, kernel: int, stride: int, pad: int, clip: bool, ceil: bool) -> int:
    """How many cells the last window reaches beyond a padded plane, along one axis.

    Caffe rounds the number of windows up and, where there is padding (`clip`), drops the last one
    if it would begin behind the plane.
    """
    steps = (size + 2 * pad - kernel) / stride
    count = (math.ceil(steps) if ceil else math.floor(steps)) + 1
    if clip and (count - 1) * stride >= size + pad:
        count -= 1
    return max(0, (count - 1) * stride + kernel - size - 2 * pad)


def room(x: Tensor, kernel: list[int], stride: list[int], pad: list[int], ceil: bool) -> list[int]:
    """(near, far) padding of height and width that every window lies in."""
    size, clip = x.shape[2:], any(pad)
    far = [beyond(*each, clip, ceil) for each in zip(size, kernel, stride, pad)]
    return [pad[1], pad[1] + far[1], pad[0], pad[0] + far[0]]


def max_pool(
    x: Tensor, kernel: list[int], stride: list[int], pad: list[int], ceil: bool = True
) -> Tensor:
    """MAX pooling over Caffe's windows."""
    lowest = torch.finfo(x.dtype).min
    return F.max_pool2d(F.pad(x, room(x, kernel, stride, pad, ceil), value=lowest), kernel, stride)


def max_pool_and_mask(
    x: Tensor, kernel: list[int], stride: list[int], pad: list[int], ceil: bool = True
) -> tuple[Tensor, Tensor]:
    """MAX pooling, and the position h * width + w of each maximum."""
    y, position = F.max_pool2d(x, kernel, stride, pad, ceil_mode=ceil, return_indices=True)
    return y, position.to(x.dtype)


def ave_pool(
    x: Tensor, kernel: list[int], stride: list[int], pad: list[int], ceil: bool = True
) -> Tensor:
    """AVE pooling over Caffe's windows: padded cells count, those beyond the padding do not."""
    left, right, top, bottom = room(x, kernel, stride, pad, ceil)
    total = F.avg_pool2d(F.pad(x, (left, right, top, bottom)), kernel, stride)
    ones = x.new_ones(1, 1, x.shape[2] + 2 * pad[0], x.shape[3] + 2 * pad[1])
    cells = F.pad(ones, (0, right - left, 0, bottom - top))
    return total / F.avg_pool2d(cells, kernel, stride)


def spatial_pyramid(x: Tensor, levels: int, pool: Callable[..., Tensor]) -> Tensor:
    """The plane in 1, 4, 16, ... windows, each pooled to one number."""
    parts = []
    for bins in (2**i for i in range(levels)):
        kernel = [-(-size // bins) for size in x.shape[2:]]
        pad = [(k * bins - size + 1) // 2 for k, size in zip(kernel, x.shape[2:])]
        parts.append(pool(x, kernel, kernel, pad).flatten(1))
    y = torch.cat(parts, 1)
    return y[:, :, None, None] if levels == 1 else y


def im2col(
    x: Tensor,
    kernel: list[int],
    stride: list[int],
    pad: list[int],
    dilation: list[int],
    far: list[int],
) -> Tensor:
    """Every window as a column: channels first, then the kernel's cells."""
    cells, channels = math.prod(kernel), x.shape[1]
    weights = torch.eye(cells, dtype=x.dtype, device=x.device).view(cells, 1, *kernel)
    weights = weights.repeat(channels, *[1] * (len(kernel) + 1))
    sides = [side for p, f in zip(reversed(pad), reversed(far)) for side in (p, p + f)]
    convolve = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}[len(kernel)]
    return convolve(F.pad(x, sides), weights, None, stride, 0, dilation, channels)


# ---- normalization


def lrn_within(x: Tensor, size: int, alpha: float, beta: float) -> Tensor:
    """x over (1 + alpha * mean of x^2 over a square of the plane) ** beta."""
    mean = F.avg_pool2d(x * x, size, 1, size // 2)
    return x * (1 + alpha * mean) ** -beta


def mvn(x: Tensor, axes: list[int], eps: float, variance: bool) -> Tensor:
    """x without its mean, over (standard deviation + eps) if `variance`; four axes.

    Caffe's gradient is that of sqrt(variance + a constant) of the same value.
    """
    x = x.reshape(*x.shape, *[1] * (4 - x.dim()))
    x = x - x.mean(axes, keepdim=True)
    if not variance:
        return x
    spread = x.square().mean(axes, keepdim=True)
    constant = (spread.sqrt() + eps).square() - spread
    return x / (spread + constant.detach()).sqrt()


def batch_normalized(x: Tensor, eps: float) -> Tensor:
    """(x - mean) / sqrt(variance + eps) by the batch's own statistics, in every mode."""
    axes = [axis for axis in range(x.dim()) if axis != 1]
    variance, mean = torch.var_mean(x, axes, correction=0, keepdim=True)
    return (x - mean) / (variance + eps).sqrt()


class FrozenBatchNorm(nn.Module):
    """(x - mean) / sqrt(variance + eps) by running statistics, in training, too."""

    def __init__(self, channels: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.running_mean: Tensor
        self.running_var: Tensor
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        return F.batch_norm(x, self.running_mean, self.running_var, eps=self.eps)


# ---- learned operands


class Scale(nn.Module):
    """x * weight + bias; the weight meets the last axes of x but for the `behind` last ones."""

    def __init__(self, *shape: int, behind: int = 0, bias: bool = False) -> None:
        super().__init__()
        self.behind = behind
        self.weight = nn.Parameter(torch.ones(shape))
        self.bias = nn.Parameter(torch.zeros(shape)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        shape = (*self.weight.shape, *[1] * self.behind)
        y = x * self.weight.view(shape)
        return y if self.bias is None else y + self.bias.view(shape)


class Bias(nn.Module):
    """x + bias; the bias meets the last axes of x but for the `behind` last ones."""

    def __init__(self, *shape: int, behind: int = 0) -> None:
        super().__init__()
        self.behind = behind
        self.bias = nn.Parameter(torch.zeros(shape))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.bias.view((*self.bias.shape, *[1] * self.behind))


class Embed(nn.Module):
    """The row of the weights that each number of x names, plus a bias."""

    def __init__(self, rows: int, columns: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(rows, columns))
        self.bias = nn.Parameter(torch.zeros(columns))

    def forward(self, x: Tensor) -> Tensor:
        return self.weight[x.long()] + self.bias


# ---- recurrence


def lstm_unit(c: Tensor, gates: Tensor, cont: Tensor) -> tuple[Tensor, Tensor]:
    """One step of an LSTM from c (N, H), gates (N, 4H), cont (N, 1), 0 where a sequence begins."""
    i, f, o, g = gates.chunk(4, -1)
    c = cont * f.sigmoid() * c + i.sigmoid() * g.tanh()
    return c, o.sigmoid() * c.tanh()


class LSTM(nn.Module):
    """x (T, N, ...), cont (T, N) to h (T, N, H), h and c (1, N, H).

    States of None are zeros. As in Caffe, no gradient passes through states that are given or
    returned. `static` is (N, ...).
    """

    def __init__(self, inputs: int, hidden: int, static: int = 0) -> None:
        super().__init__()
        self.weight_x = nn.Parameter(torch.zeros(4 * hidden, inputs))
        self.bias = nn.Parameter(torch.zeros(4 * hidden))
        if static:
            self.weight_static = nn.Parameter(torch.zeros(4 * hidden, static))
        self.weight_h = nn.Parameter(torch.zeros(4 * hidden, hidden))

    def forward(
        self,
        x: Tensor,
        cont: Tensor,
        static: Tensor | None = None,
        h: Tensor | None = None,
        c: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        z = F.linear(x.flatten(2), self.weight_x, self.bias)
        if static is not None:
            z = z + F.linear(static.flatten(1), self.weight_static)
        zeros = x.new_zeros(x.shape[1], self.weight_h.shape[1])
        h, c = (zeros if s is None else s[0].detach() for s in (h, c))
        steps = []
        for gates, begun in zip(z, cont[..., None]):
            c, h = lstm_unit(c, gates + F.linear(h * begun, self.weight_h), begun)
            steps.append(h)
        return torch.stack(steps), h[None].detach(), c[None].detach()


class RNN(nn.Module):
    """x (T, N, ...), cont (T, N) to y = tanh(W_o h + b) and h, h = tanh(W_x x + W_h h + b).

    A state of None is zeros. As in Caffe, no gradient passes through a state that is given or
    returned. `static` is (N, ...).
    """

    def __init__(self, inputs: int, hidden: int, static: int = 0) -> None:
        super().__init__()
        self.weight_x = nn.Parameter(torch.zeros(hidden, inputs))
        self.bias = nn.Parameter(torch.zeros(hidden))
        if static:
            self.weight_static = nn.Parameter(torch.zeros(hidden, static))
        self.weight_h = nn.Parameter(torch.zeros(hidden, hidden))
        self.weight_o = nn.Parameter(torch.zeros(hidden, hidden))
        self.bias_o = nn.Parameter(torch.zeros(hidden))

    def forward(
        self,
        x: Tensor,
        cont: Tensor,
        static: Tensor | None = None,
        h: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        z = F.linear(x.flatten(2), self.weight_x, self.bias)
        if static is not None:
            z = z + F.linear(static.flatten(1), self.weight_static)
        h = x.new_zeros(x.shape[1], self.weight_h.shape[1]) if h is None else h[0].detach()
        steps = []
        for part, begun in zip(z, cont[..., None]):
            h = torch.tanh(part + F.linear(h * begun, self.weight_h))
            steps.append(h)
        y = torch.tanh(F.linear(torch.stack(steps), self.weight_o, self.bias_o))
        return y, h[None].detach()
