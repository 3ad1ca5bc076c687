"""Train the basic context module on SBD, upon dilation's trained front end, which learns no more."""

from fcn.identity import start_as_identity
from fcn.train import Recipe, Schedule, solve

RECIPE = Recipe(
    start="systems/dilation-frontend",
    rounds=15,
    steps=4000,
    initialize=start_as_identity,
    sample=Schedule(rounds=3, steps=200),
)

if __name__ == "__main__":
    solve(__file__, RECIPE)
