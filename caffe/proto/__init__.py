"""The messages of Caffe's files, and reading them."""
