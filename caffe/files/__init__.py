"""Caffe's files: prototxt, caffemodel, solverstate, HDF5, databases and lists of pictures.

read        nets and solvers from files of any age
prototxt    the text format's parser
upgrade     old nets and solvers made current; upgrade_v0 the oldest nets
wire        protobuf's binary format, read and written in place
blob_proto  one blob in a binary file
caffemodel  weights in a binary file
solverstate a solver's state in a binary file
hdf5        weights and solver states as HDF5
weights     a net's weights: loaded, saved, shared
snapshot    a solver's weights and state together
database    LMDB and LevelDB
image_list  lists of pictures with labels
paths       files that must be there, files that are replaced whole
"""
