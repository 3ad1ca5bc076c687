"""Train FCN-32s by tags as constraints, from VGG-16, scored on VOC pictures outside of SBD's."""

from fcn.train import Recipe, Schedule, solve
from fcn.weak.nets import start_from_classifier, write_labels

RECIPE = Recipe(
    start="ilsvrc-nets/vgg16-fcn",
    rounds=10,
    steps=4000,
    initialize=start_from_classifier,
    prepare=write_labels,
    sample=Schedule(rounds=3, steps=400),
)

if __name__ == "__main__":
    solve(__file__, RECIPE)
