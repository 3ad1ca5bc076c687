"""Train FCN-8s on SIFT Flow from FCN-16s, scored on both tasks."""

from fcn.datasets.siftflow import SIFTFLOW
from fcn.train import Recipe, solve

RECIPE = Recipe(start="siftflow-fcn16s", rounds=50, steps=2000, scored=SIFTFLOW.scored)

if __name__ == "__main__":
    solve(__file__, RECIPE)
