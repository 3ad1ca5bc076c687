"""Train FCN-32s on PASCAL-Context from VGG-16.

50 rounds of 8000 steps go past max_iter, as published: step does not stop there.
"""

from fcn.train import Recipe, solve

RECIPE = Recipe(start="ilsvrc-nets/vgg16-fcn", rounds=50, steps=8000)

if __name__ == "__main__":
    solve(__file__, RECIPE)
