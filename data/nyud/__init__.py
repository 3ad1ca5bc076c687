"""NYUDv2 (Silberman et al.) with the 40 classes of Gupta et al."""

CLASSES = tuple(
    """wall floor cabinet bed chair sofa table door window bookshelf picture counter blinds desk
    shelves curtain dresser pillow mirror floor-mat clothes ceiling books refridgerator television
    paper towel shower-curtain box whiteboard person night-stand toilet sink lamp bathtub bag
    otherstructure otherfurniture otherprop""".split()
)
