"""What layers compute, written again: NumPy and loops, nothing shared with the engine."""

import itertools
import math

import numpy as np

# -- windows --


def convolution(x, w, bias=None, stride=1, pad=0, dilation=1, group=1):
    """x (N, C, spatial...), w (O, C / group, kernel...); a window may reach beyond the padded
    input."""
    dims = x.ndim - 2
    stride, pad, dilation = (np.broadcast_to(v, dims) for v in (stride, pad, dilation))
    kernel = w.shape[2:]
    sizes = [
        math.trunc((x.shape[2 + i] + 2 * pad[i] - dilation[i] * (kernel[i] - 1) - 1) / stride[i])
        + 1
        for i in range(dims)
    ]
    y = np.zeros((len(x), len(w), *sizes))
    per_group_in, per_group_out = w.shape[1], len(w) // group
    for n, o in itertools.product(range(len(x)), range(len(w))):
        for at in np.ndindex(*sizes):
            total = 0.0 if bias is None else bias[o]
            for c, *cell in np.ndindex(*w.shape[1:]):
                where = [at[i] * stride[i] - pad[i] + cell[i] * dilation[i] for i in range(dims)]
                if all(0 <= where[i] < x.shape[2 + i] for i in range(dims)):
                    channel = o // per_group_out * per_group_in + c
                    total += x[(n, channel, *where)] * w[(o, c, *cell)]
            y[(n, o, *at)] = total
    return y


def deconvolution(x, w, bias=None, stride=1, pad=0, dilation=1, group=1):
    """x (N, C, spatial...), w (C, O / group, kernel...): every cell spreads its kernel over y."""
    dims = x.ndim - 2
    stride, pad, dilation = (np.broadcast_to(v, dims) for v in (stride, pad, dilation))
    kernel = w.shape[2:]
    sizes = [
        stride[i] * (x.shape[2 + i] - 1) + dilation[i] * (kernel[i] - 1) + 1 - 2 * pad[i]
        for i in range(dims)
    ]
    y = np.zeros((len(x), w.shape[1] * group, *sizes))
    for n, c, *at in np.ndindex(*x.shape):
        for o, *cell in np.ndindex(*w.shape[1:]):
            where = [at[i] * stride[i] - pad[i] + cell[i] * dilation[i] for i in range(dims)]
            if all(0 <= where[i] < sizes[i] for i in range(dims)):
                out = c // (x.shape[1] // group) * w.shape[1] + o
                y[(n, out, *where)] += x[(n, c, *at)] * w[(c, o, *cell)]
    return y if bias is None else y + bias.reshape(-1, *[1] * dims)


def pool(x, kernel, stride, pad, merge, ceil=True):
    """x (N, C, H, W); `merge(values, cells)` of the values under each window, and the number of its
    cells within the padded plane."""
    kernel, stride, pad = (np.broadcast_to(v, 2) for v in (kernel, stride, pad))
    sizes = []
    for i, length in enumerate(x.shape[2:]):
        steps = (length + 2 * pad[i] - kernel[i]) / stride[i]
        size = (math.ceil(steps) if ceil else math.floor(steps)) + 1
        if pad.any() and (size - 1) * stride[i] >= length + pad[i]:
            size -= 1
        sizes.append(size)
    y = np.zeros((*x.shape[:2], *sizes))
    for n, c, *at in np.ndindex(*y.shape):
        begin = [at[i] * stride[i] - pad[i] for i in (0, 1)]
        end = [min(begin[i] + kernel[i], x.shape[2 + i] + pad[i]) for i in (0, 1)]
        cells = (end[0] - begin[0]) * (end[1] - begin[1])
        rows, columns = (slice(max(0, begin[i]), min(end[i], x.shape[2 + i])) for i in (0, 1))
        y[(n, c, *at)] = merge(x[n, c, rows, columns], cells)
    return y


def lrn_across(x, size, alpha, beta, k=1.0):
    y = np.zeros_like(x)
    for n, c, h, w in np.ndindex(*x.shape):
        near = [
            x[n, i, h, w] ** 2
            for i in range(c - size // 2, c + size // 2 + 1)
            if 0 <= i < x.shape[1]
        ]
        y[n, c, h, w] = x[n, c, h, w] / (k + alpha / size * sum(near)) ** beta
    return y


def lrn_within(x, size, alpha, beta):
    y, reach = np.zeros_like(x), size // 2
    for n, c, h, w in np.ndindex(*x.shape):
        rows, columns = (slice(max(0, i - reach), i + reach + 1) for i in (h, w))
        near = (x[n, c, rows, columns] ** 2).sum()
        y[n, c, h, w] = x[n, c, h, w] / (1 + alpha / size**2 * near) ** beta
    return y


# -- probabilities and losses --


def softmax(x, axis=1):
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax_loss(x, label, ignore=None, divide=None):
    """x (N, C, inner...), label (N, inner...); divided by `divide`, or by the labels not
    ignored."""
    p, total, valid = softmax(x), 0.0, 0
    for n, *at in np.ndindex(*label.shape):
        wanted = int(label[(n, *at)])
        if wanted == ignore:
            continue
        valid += 1
        total -= math.log(p[(n, wanted, *at)])
    return np.float64(total / max(1, valid if divide is None else divide))


def sigmoid_loss(x, target, ignore=None, divide=None):
    total, valid = 0.0, 0
    for v, t in zip(x.ravel(), target.ravel()):
        if ignore is not None and int(t) == ignore:
            continue
        valid += 1
        p = sigmoid(v)
        total -= t * math.log(p) + (1 - t) * math.log(1 - p)
    return np.float64(total / max(1, valid if divide is None else divide))


def infogain_loss(x, label, matrix, ignore=None):
    """x (N, C), label (N), matrix (C, C)."""
    p, total, valid = softmax(x), 0.0, 0
    for n, wanted in enumerate(label.astype(int)):
        if wanted != ignore:
            valid += 1
            total -= sum(matrix[wanted, k] * math.log(p[n, k]) for k in range(x.shape[1]))
    return np.float64(total / max(1, valid))


def hinge_loss(x, label, power):
    total = 0.0
    for row, wanted in zip(x, label.astype(int)):
        for k, score in enumerate(row):
            total += max(0.0, 1 - score if k == wanted else 1 + score) ** power
    return np.float64(total / len(x))


def contrastive_loss(a, b, similar, margin, legacy=False):
    total = 0.0
    for p, q, same in zip(a, b, similar):
        squared = ((p - q) ** 2).sum()
        if same:
            total += squared
        elif legacy:
            total += max(margin - squared, 0)
        else:
            total += max(margin - math.sqrt(squared), 0) ** 2
    return np.float64(total / (2 * len(a)))


def accuracy(x, label, top_k=1, ignore=None):
    """x (N, C, inner...), label (N, inner...): a rival with an equal score counts against."""
    right = valid = 0
    for n, *at in np.ndindex(*label.shape):
        wanted = int(label[(n, *at)])
        if wanted == ignore:
            continue
        valid += 1
        scores = x[(n, slice(None), *at)]
        rivals = sum(scores[k] >= scores[wanted] for k in range(len(scores)) if k != wanted)
        right += rivals < top_k
    return np.float64(right / valid if valid else 0)


# -- recurrence --


def lstm_unit(c, gates, cont):
    """One step for one sequence: c (H), gates (4H), cont a number."""
    i, f, o, g = np.split(gates, 4)
    c = cont * sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return c, sigmoid(o) * np.tanh(c)


def lstm(x, cont, w_x, b, w_h, h=None, c=None):
    """x (T, N, I), cont (T, N): (y, h, c)."""
    steps, num = cont.shape
    size = w_h.shape[1]
    y = np.zeros((steps, num, size))
    h, c = (np.zeros((num, size)) if s is None else s.copy() for s in (h, c))
    for t, n in np.ndindex(steps, num):
        gates = w_x @ x[t, n] + b + w_h @ (cont[t, n] * h[n])
        c[n], h[n] = lstm_unit(c[n], gates, cont[t, n])
        y[t, n] = h[n]
    return y, h, c


def rnn(x, cont, w_xh, b_h, w_hh, w_ho, b_o):
    steps, num = cont.shape
    y, h = np.zeros((steps, num, len(w_ho))), np.zeros((num, len(w_hh)))
    for t, n in np.ndindex(steps, num):
        h[n] = np.tanh(w_xh @ x[t, n] + b_h + w_hh @ (cont[t, n] * h[n]))
        y[t, n] = np.tanh(w_ho @ h[n] + b_o)
    return y
