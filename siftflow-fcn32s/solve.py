"""Train FCN-32s on SIFT Flow from VGG-16, scored on both tasks."""

from fcn.datasets.siftflow import SIFTFLOW
from fcn.train import Recipe, solve

RECIPE = Recipe(start="ilsvrc-nets/vgg16-fcn", rounds=50, steps=2000, scored=SIFTFLOW.scored)

if __name__ == "__main__":
    solve(__file__, RECIPE)
