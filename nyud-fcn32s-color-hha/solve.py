"""Train the late fusion of colour and HHA on NYUDv2, from the two nets trained alone."""

from fcn_solve import solve
from surgery import transplant


def join(net, color, hha):
    """Each net whole, under its suffix."""
    transplant(net, color, "color")
    transplant(net, hha, "hha")


if __name__ == "__main__":
    solve(
        __file__,
        start=("nyud-fcn32s-color", "nyud-fcn32s-hha"),
        surgeon=join,
        rounds=50,
        steps=2000,
    )
