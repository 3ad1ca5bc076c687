"""Train the classifier of zoom-out features on SBD, upon VGG-16, scored on VOC pictures outside of it."""

from typing import Any

import numpy as np

from fcn.train import Recipe, Schedule, solve

PICTURES = 100  # that tell mean and variance of the features


def start_from_vgg16(net: Any, vgg16: Any) -> None:
    """Fill a net from VGG-16, and its BatchNorm with mean and variance of the features.

    They are of the first PICTURES pictures of the net's own data layer, and do not change in training.
    """
    for name, blobs in vgg16.params.items():
        for own, other in zip(net.params[name], blobs):
            own.data[...] = other.data
    total = squares = count = 0
    for _ in range(PICTURES):
        net.forward()
        values = net.blobs["column"].data.astype(np.float64)
        total, squares = total + values.sum(0), squares + np.square(values).sum(0)
        count += len(values)
    mean, variance, factor = net.params["normal"]
    mean.data[...] = total / count
    spread = squares / count - np.square(total / count)
    # Channels that hardly ever answer would be enlarged a hundredfold where they do.
    zooms = np.cumsum([net.blobs[name].channels for name in net.bottom_names["column"]])[:-1]
    parts = np.split(spread, zooms)
    variance.data[...] = np.concatenate([np.maximum(part, part.mean()) for part in parts])
    factor.data[...] = 1


RECIPE = Recipe(
    start="ilsvrc-nets/vgg16-fcn",
    rounds=10,
    steps=4000,
    initialize=start_from_vgg16,
    sample=Schedule(rounds=4, steps=500),
)

if __name__ == "__main__":
    solve(__file__, RECIPE)
