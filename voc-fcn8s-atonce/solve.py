"""Train FCN-8s on SBD at once, straight from VGG-16."""

from fcn.train import Recipe, solve

RECIPE = Recipe(start="ilsvrc-nets/vgg16-fcn", rounds=75, steps=4000)

if __name__ == "__main__":
    solve(__file__, RECIPE)
