"""Train FCN-16s on PASCAL-Context from FCN-32s.

50 rounds of 8000 steps go past max_iter, as published: step does not stop there.
"""

from fcn.train import Recipe, solve

RECIPE = Recipe(start="pascalcontext-fcn32s", rounds=50, steps=8000)

if __name__ == "__main__":
    solve(__file__, RECIPE)
