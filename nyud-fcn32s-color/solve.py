"""Train FCN-32s on the colour pictures of NYUDv2, from VGG-16."""

from fcn.train import Recipe, solve

RECIPE = Recipe(start="ilsvrc-nets/vgg16-fcn", rounds=50, steps=2000)

if __name__ == "__main__":
    solve(__file__, RECIPE)
