"""Train FCN-32s by the boxes of SBD's objects, from VGG-16; after each round the masks are chosen anew."""

from fcn.train import Recipe, Schedule, solve
from fcn.weak.boxsup import choose_again, write_masks

RECIPE = Recipe(
    start="ilsvrc-nets/vgg16-fcn",
    rounds=5,
    steps=20000,
    prepare=write_masks,
    after_round=choose_again,
    sample=Schedule(rounds=3, steps=400),
)

if __name__ == "__main__":
    solve(__file__, RECIPE)
