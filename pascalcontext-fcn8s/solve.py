"""Train FCN-8s on PASCAL-Context from FCN-16s.

50 rounds of 8000 steps go past max_iter, as published: step does not stop there.
"""

from fcn.train import Recipe, solve

RECIPE = Recipe(start="pascalcontext-fcn16s", rounds=50, steps=8000)

if __name__ == "__main__":
    solve(__file__, RECIPE)
