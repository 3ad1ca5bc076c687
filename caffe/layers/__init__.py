"""The built-in layers, one family a file; importing it enters them in the table of types."""

from . import (  # noqa: F401
    accuracy,
    conv,
    data,
    eltwise,
    hdf5,
    inner_product,
    loss,
    lrn,
    neuron,
    norm,
    pooling,
    python,
    recurrent,
    reduction,
    scale,
    select,
    shape,
    softmax,
    source,
    window,
)
