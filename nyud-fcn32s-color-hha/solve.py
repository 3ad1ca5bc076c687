"""Train the late fusion of colour and HHA on NYUDv2, from the two nets trained alone."""

from fcn.surgery import transplant
from fcn.train import solve


def join(net, color, hha):
    """Each net whole, under its suffix."""
    transplant(net, color, "color")
    transplant(net, hha, "hha")


if __name__ == "__main__":
    solve(
        __file__,
        start=("nyud-fcn32s-color", "nyud-fcn32s-hha"),
        initialize=join,
        rounds=50,
        steps=2000,
    )
