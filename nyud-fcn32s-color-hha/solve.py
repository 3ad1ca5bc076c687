"""Train the late fusion of colour and HHA on NYUDv2, from the two nets trained alone."""

import caffe
from fcn.surgery import transplant
from fcn.train import Recipe, solve


def join(net: caffe.Net, color: caffe.Net, hha: caffe.Net) -> None:
    """Copy each net to the layers with its suffix."""
    transplant(net, color, "color")
    transplant(net, hha, "hha")


RECIPE = Recipe(
    start=("nyud-fcn32s-color", "nyud-fcn32s-hha"), initialize=join, rounds=50, steps=2000
)

if __name__ == "__main__":
    solve(__file__, RECIPE)
