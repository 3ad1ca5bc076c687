"""What the fifteen FCN models share: nets, training, scoring, inference, data sets, the `fcn` command.

Knows only pycaffe's public names, so that it also runs on BVLC's pycaffe.
"""
