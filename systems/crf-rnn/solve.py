"""Train FCN-8s and the CRF behind it on SBD, end to end, from FCN-8s."""

from typing import Any

from fcn.train import Recipe, Schedule, solve

# Layers of FCN-8s -> what the released net calls them
NAMES = {
    "score_fr": "score-fr",
    "upscore2": "score2",
    "score_pool4": "score-pool4",
    "upscore_pool4": "score4",
    "score_pool3": "score-pool3",
    "upscore8": "upsample",
}


def start_from_fcn8s(net: Any, fcn8s: Any) -> None:
    """Fill a net with FCN-8s's weights, by the released net's names; the CRF keeps its own."""
    for name, blobs in fcn8s.params.items():
        for own, other in zip(net.params[NAMES.get(name, name)], blobs):
            own.data[...] = other.data


RECIPE = Recipe(
    start="voc-fcn8s",
    rounds=10,
    steps=4000,
    initialize=start_from_fcn8s,
    sample=Schedule(rounds=2, steps=200),
)

if __name__ == "__main__":
    solve(__file__, RECIPE)
