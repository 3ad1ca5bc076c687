"""Starts dilation's context module as what changes nothing: the scores go through it as they are.

The published start, the identity filler, loses the scores below zero at the first ReLU. Here nothing is
lost. Where a module is at least twice as wide as there are classes, the first channels carry the scores
and the next ones their negatives, of which one passes a ReLU: the difference is the score, bit for bit.
All further channels begin at random, and with no weight on what follows. A module as wide as there are
classes gets its scores raised above zero beforehand, which the softmax behind it does not see.
"""

from typing import Any

import numpy as np

PROBES = 20  # pictures whose lowest score is looked for


def start_as_identity(net: Any, front: Any) -> None:
    """Fill a net with the front end's weights, and its context module so that it changes no score."""
    for name, blobs in front.params.items():
        for own, other in zip(net.params[name], blobs):
            own.data[...] = other.data
    modules = [name for name in net.params if name not in front.params]
    carried = [net.params[name] for name in modules]
    classes = carried[-1][0].data.shape[0]
    if carried[0][0].data.shape[0] >= 2 * classes:
        carry_both_signs(carried, classes)
    else:
        last = next(reversed(front.params))
        carry_raised(carried, lowest_score(net, last))


def carry_both_signs(layers: list[Any], classes: int) -> None:
    """Scores and negatives in the first channels of all layers (weights, biases) but the last."""
    rng = np.random.RandomState(0)
    carriers = range(2 * classes)
    for number, (weights, bias) in enumerate(layers):
        outputs, inputs, height, width = weights.data.shape
        values = np.zeros(weights.data.shape, np.float32)
        values[2 * classes :] = rng.normal(
            0, (2 / (inputs * height * width)) ** 0.5, values[2 * classes :].shape
        )
        centre = values[:, :, height // 2, width // 2]
        if number == 0:
            centre[range(classes), range(classes)] = 1
            centre[range(classes, 2 * classes), range(classes)] = -1
        elif number < len(layers) - 1:
            centre[carriers, carriers] = 1
        else:
            centre[range(classes), range(classes)] = 1
            centre[range(classes), range(classes, 2 * classes)] = -1
        weights.data[...], bias.data[...] = values, 0


def carry_raised(layers: list[Any], lowest: float) -> None:
    """Each channel its own score, raised in the first layer by the power of two above -`lowest`."""
    for weights, bias in layers:
        _, _, height, width = weights.data.shape
        channels = range(weights.data.shape[0])
        weights.data[...], bias.data[...] = 0, 0
        weights.data[channels, channels, height // 2, width // 2] = 1
    if lowest < 0:
        layers[0][1].data[...] = 2 ** np.ceil(np.log2(-lowest))


def lowest_score(net: Any, layer: str) -> float:
    """The lowest score of the front end, whose last layer is `layer`, on some of the net's pictures."""
    found = []
    for _ in range(PROBES):
        net.forward(end=layer)
        found.append(float(net.blobs[layer].data.min()))
    return min(found)
