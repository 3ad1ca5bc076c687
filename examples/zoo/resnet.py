"""ResNet-50 (He et al. 2015)."""

from caffe import layers as L
from caffe import params as P

from .parts import classify, dense, pool, relu


def resnet50(n, classes):
    """ResNet-50."""

    def add(name, bottom, outputs, kernel, active=True, **more):
        """Convolution without bias, batch normalization, scale; ReLU where `active`."""
        fill = dict(weight_filler=dict(type="msra"))
        at = name.replace("res", "bn") if name.startswith("res") else f"bn_{name}"
        n[name] = L.Convolution(
            bottom, num_output=outputs, kernel_size=kernel, bias_term=False, **fill, **more
        )
        n[at] = L.BatchNorm(n[name], in_place=True)
        n[at.replace("bn", "scale", 1)] = L.Scale(n[name], bias_term=True, in_place=True)
        if active:
            n[f"{name}_relu"] = relu(n[name])
        return n[name]

    def bottleneck(name, bottom, width, stride, project):
        shortcut = bottom
        if project:
            shortcut = add(f"{name}_branch1", bottom, 4 * width, 1, active=False, stride=stride)
        x = add(f"{name}_branch2a", bottom, width, 1, stride=stride)
        x = add(f"{name}_branch2b", x, width, 3, pad=1)
        x = add(f"{name}_branch2c", x, 4 * width, 1, active=False)
        n[name] = L.Eltwise(shortcut, x)
        n[f"{name}_relu"] = relu(n[name])
        return n[name]

    n.pool1 = bottom = pool(add("conv1", n.data, 64, 7, pad=3, stride=2), 3, 2)
    for stage, (width, depth) in enumerate(((64, 3), (128, 4), (256, 6), (512, 3)), 2):
        for i in range(depth):
            stride = 2 if stage > 2 and i == 0 else 1
            name = f"res{stage}{chr(ord('a') + i)}"
            bottom = bottleneck(name, bottom, width, stride, project=i == 0)
    n.pool5 = L.Pooling(bottom, pool=P.Pooling.AVE, global_pooling=True)
    n.fc1000 = dense(n.pool5, classes, dict(weight_filler=dict(type="msra")))
    classify(n, "fc1000")
