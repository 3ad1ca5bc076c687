"""`fcn new`: makes a model folder of a folder of pictures and masks.

Pictures and masks are paired (pairs), read once (reading), and what the masks hold is mapped to
classes (classlist, mapping). Then the folder is written (writing): masks as class indices where they
are not, lists, nets, solver and recipe.
"""
