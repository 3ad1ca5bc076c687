"""What the FCN models share: nets, training, scoring, inference, data sets, and the `fcn` command.

The package uses only the public names of `import caffe`, so it also runs on BVLC's pycaffe.
"""
