"""Published nets at a fraction of their width, with weights that let every layer count."""

import numpy as np

import caffe


def narrowed(param, share=16):
    """A NetParameter whose layers have a share of their outputs, two at least; in place."""
    for layer in param.layer:
        for kind in ("convolution_param", "inner_product_param"):
            if layer.HasField(kind):
                settings = getattr(layer, kind)
                group = settings.group if kind == "convolution_param" else 1
                if settings.num_output >= 16:
                    fewer = max(2, settings.num_output // share)
                    settings.num_output = fewer + -fewer % group
    return param


def filled(net, seed=0):
    """The net with random weights of unit gain, and statistics of BatchNorm."""
    rng = np.random.default_rng(seed)
    for name, blobs in net.params.items():
        kind = net.layer_dict[name].type
        weight = blobs[0].data
        if kind == "BatchNorm":
            weight[...] = rng.standard_normal(weight.shape)
            blobs[1].data[...] = rng.uniform(0.5, 1.5, blobs[1].data.shape)
            blobs[2].data[...] = 1
            continue
        if kind == "Deconvolution":
            weight[...] = rng.uniform(0, 1, weight.shape) / weight[0].size ** 0.5
        elif weight.ndim > 1:
            weight[...] = rng.standard_normal(weight.shape) * (2 / weight[0].size) ** 0.5
        for blob in blobs[1:]:
            blob.data[...] = 0.1 * rng.standard_normal(blob.data.shape)
    return net


def build(param, folder, phase=caffe.TEST):
    """A net of a NetParameter, filled."""
    path = folder / "narrow.prototxt"
    path.write_text(str(param))
    return filled(caffe.Net(str(path), phase))
