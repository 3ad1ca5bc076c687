"""Train hypercolumns on SBD from VGG-16, scored on the VOC pictures that are not in SBD's training."""

from fcn.train import Recipe, Schedule, solve

RECIPE = Recipe(
    start="ilsvrc-nets/vgg16-fcn", rounds=25, steps=4000, sample=Schedule(rounds=3, steps=500)
)

if __name__ == "__main__":
    solve(__file__, RECIPE)
