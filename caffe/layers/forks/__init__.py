"""The layers that forks of Caffe added, a family a file; each class names its fork.

Importing this enters them in layer.LAYER_TYPES, and in layer.MEANINGS where forks gave one name
several meanings, or gave a name of Caffe's another one.
"""

from . import (  # noqa: F401
    batch_normalization,
    crf,
    data,
    dropout,
    flow,
    interp,
    masks,
    matlab,
    multibox,
    normalize,
    pixel_losses,
    points,
    proposal,
    region_losses,
    regions,
    resampling,
    segmentation,
    small_nets,
    ssd,
    upsample,
)
