"""The options of the `fcn` command's parts, a module each.

They stand apart from what the commands do, and import nothing that computes: so every help page is
there at once, and completion is quick.
"""
