"""Train FCN-8s on SBD from FCN-16s, scored on the VOC pictures that are not in SBD's training."""

from fcn.train import Recipe, Schedule, solve

RECIPE = Recipe(start="voc-fcn16s", rounds=25, steps=4000, sample=Schedule(rounds=2, steps=650))

if __name__ == "__main__":
    solve(__file__, RECIPE)
