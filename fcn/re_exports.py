"""Fills nets from copies of published weights in other libraries' files: Chainer's .npz, PyTorch's .pth."""

from pathlib import Path

import caffe
from fcn import surgery

ENDINGS = (".npz", ".pth")


def fill(net: caffe.Net, path: Path) -> None:
    """Fill all of a net's layers by name, or one after the other where the file has other names.

    Arrays of as many values are coerced (inner products). A layer that is not in the file keeps what
    its filler gave it; a deconvolution of zeros is made bilinear. ValueError for one that stays zero,
    for an array that does not fit, and for layers of the file that the net does not have.
    """
    report = caffe.import_weights(net, str(path))
    if report.ignored:
        unknown = ", ".join(report.ignored)
        raise ValueError(f"{path}: the net has no layers {unknown}: it is another net's")
    zero = [name for name, blobs in net.params.items() if not blobs[0].data.any()]
    upscores = [name for name in zero if net.layer_dict[name].type == "Deconvolution"]
    surgery.interp(net, upscores)
    if lacking := [name for name in zero if name not in upscores]:
        raise ValueError(f"{path}: it lacks layers {', '.join(lacking)}")
