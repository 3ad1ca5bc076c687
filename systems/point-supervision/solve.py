"""Train FCN-32s by points, from VGG-16, scored on VOC pictures outside of SBD's."""

from fcn.train import Recipe, Schedule, solve
from fcn.weak.nets import write_labels

RECIPE = Recipe(
    start="ilsvrc-nets/vgg16-fcn",
    rounds=10,
    steps=4000,
    prepare=write_labels,
    sample=Schedule(rounds=3, steps=400),
)

if __name__ == "__main__":
    solve(__file__, RECIPE)
