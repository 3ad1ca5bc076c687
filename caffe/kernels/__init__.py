"""What multiplies: the CPU's own kernels in C, PyTorch's, and the table that chooses among them.

| file | what |
| --- | --- |
| convolution.py | for each operation the kernels, and when each applies: the one table that chooses |
| cases.py | what kernels of convolutions are given |
| planes.py, winograd.py, maps.py, upsample.py, maxima.py | the C kernels' Python side; the .c files beside them |
| products.py | matrix products |
| layouts.py | the faster memory layout on a GPU |
| searches.py | for which shapes a GPU tries algorithms and layouts |
| library.py | compiles, caches and loads the C files; checks what is passed to them |

Kernels know tensors and `caffe.context`, no blobs and no layers.
"""
