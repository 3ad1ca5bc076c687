"""SIFT Flow (Liu et al.): LabelMe's outdoor scenes with semantic and geometric labels."""

CLASSES = tuple(
    """awning balcony bird boat bridge building bus car cow crosswalk desert door fence field grass
    moon mountain person plant pole river road rock sand sea sidewalk sign sky staircase streetlight
    sun tree window""".split()
)
GEO_CLASSES = ("sky", "horizontal", "vertical")
ABSENT_FROM_TEST = ("cow", "desert", "moon")  # no truth there, so they are left out of its means
