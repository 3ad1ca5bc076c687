"""SqueezeNet 1.0 (Iandola et al. 2016)."""

from caffe import layers as L
from caffe import params as P

from .parts import classify, conv, pool, relu


def squeezenet(n, classes):
    """Version 1.0: fire modules squeeze by 1x1, then expand by 1x1 and 3x3."""

    def add(name, bottom, outputs, kernel, **more):
        n[name] = conv(bottom, outputs, kernel, **more)
        n[name.replace("/", "/relu_") if "/" in name else f"relu_{name}"] = relu(n[name])
        return n[name]

    n.pool1 = bottom = pool(add("conv1", n.data, 96, 7, stride=2), 3, 2)
    for i, squeeze in enumerate((16, 16, 32, 32, 48, 48, 64, 64), 2):
        at = f"fire{i}/"
        narrow = add(at + "squeeze1x1", bottom, squeeze, 1)
        wide = add(at + "expand1x1", narrow, 4 * squeeze, 1)
        wider = add(at + "expand3x3", narrow, 4 * squeeze, 3, pad=1)
        n[at + "concat"] = bottom = L.Concat(wide, wider)
        if i in (4, 8):
            n[f"pool{i}"] = bottom = pool(bottom, 3, 2)
    n.drop9 = L.Dropout(bottom, dropout_ratio=0.5, in_place=True)
    last = add("conv10", bottom, classes, 1)
    n.pool10 = L.Pooling(last, pool=P.Pooling.AVE, global_pooling=True)
    classify(n, "pool10")
