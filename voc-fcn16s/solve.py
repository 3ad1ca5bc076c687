"""Train FCN-16s on SBD from FCN-32s, scored on the VOC pictures that are not in SBD's training."""

from fcn.train import Recipe, Schedule, solve

RECIPE = Recipe(start="voc-fcn32s", rounds=25, steps=4000, sample=Schedule(rounds=2, steps=500))

if __name__ == "__main__":
    solve(__file__, RECIPE)
