"""Train FCN-16s on SIFT Flow from FCN-32s, scored on both tasks."""

from fcn.datasets.siftflow import SIFTFLOW
from fcn.train import Recipe, solve

RECIPE = Recipe(start="siftflow-fcn32s", rounds=50, steps=2000, scored=SIFTFLOW.scored)

if __name__ == "__main__":
    solve(__file__, RECIPE)
