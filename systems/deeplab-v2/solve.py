"""Train DeepLab v2 on SBD from VGG-16, scored on the VOC pictures that are not in SBD's training."""

from fcn.deeplab import start_from_vgg16, write_lists
from fcn.train import Recipe, Schedule, solve

RECIPE = Recipe(
    start="ilsvrc-nets/vgg16-fcn",
    rounds=5,
    steps=4000,
    initialize=start_from_vgg16,
    prepare=write_lists,
    sample=Schedule(rounds=4, steps=1000),
)

if __name__ == "__main__":
    solve(__file__, RECIPE)
