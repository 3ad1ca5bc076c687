"""AlexNet (Krizhevsky et al. 2012) and Caffe's variant of it."""

from caffe import layers as L

from .parts import classify, conv, dense, gauss, pool, relu


def _alexnet(n, classes, norm_first):
    """Two GPUs in the paper, hence group 2. CaffeNet pools before it normalizes."""

    def norm_and_pool(i, bottom):
        steps = [("norm", lambda b: L.LRN(b, local_size=5, alpha=1e-4, beta=0.75))]
        steps.insert(len(steps) if norm_first else 0, ("pool", lambda b: pool(b, 3, 2)))
        for name, make in steps:
            bottom = n[f"{name}{i}"] = make(bottom)
        return bottom

    n.conv1 = conv(n.data, 96, 11, gauss(0.01), stride=4)
    n.relu1 = relu(n.conv1)
    n.conv2 = conv(norm_and_pool(1, n.conv1), 256, 5, gauss(0.01, 0.1), pad=2, group=2)
    n.relu2 = relu(n.conv2)
    n.conv3 = conv(norm_and_pool(2, n.conv2), 384, 3, gauss(0.01), pad=1)
    n.relu3 = relu(n.conv3)
    n.conv4 = conv(n.conv3, 384, 3, gauss(0.01, 0.1), pad=1, group=2)
    n.relu4 = relu(n.conv4)
    n.conv5 = conv(n.conv4, 256, 3, gauss(0.01, 0.1), pad=1, group=2)
    n.relu5 = relu(n.conv5)
    n.pool5 = pool(n.conv5, 3, 2)
    fully_connected(n, n.pool5, classes, gauss(0.005, 0.1), gauss(0.01))


def fully_connected(n, bottom, classes, fill, last):
    """fc6, fc7 and fc8 with Dropout, then loss and accuracy."""
    for i in (6, 7):
        n[f"fc{i}"] = bottom = dense(bottom, 4096, fill)
        n[f"relu{i}"] = relu(bottom)
        n[f"drop{i}"] = L.Dropout(bottom, dropout_ratio=0.5, in_place=True)
    n.fc8 = dense(bottom, classes, last)
    classify(n, "fc8")


def alexnet(n, classes):
    """AlexNet: normalization before pooling."""
    _alexnet(n, classes, norm_first=True)


def caffenet(n, classes):
    """CaffeNet: AlexNet with pooling before normalization."""
    _alexnet(n, classes, norm_first=False)
