"""NYUDv2 (Silberman et al.) with the 40 classes of Gupta et al."""

from data import names

CLASSES = names("nyud/classes.txt")
