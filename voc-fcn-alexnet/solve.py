"""Train FCN-AlexNet on SBD from CaffeNet; an iteration is 20 pictures."""

from fcn.train import Recipe, solve

RECIPE = Recipe(start="ilsvrc-nets/alexnet-fcn", rounds=25, steps=4000)

if __name__ == "__main__":
    solve(__file__, RECIPE)
