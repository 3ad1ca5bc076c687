"""The peer: FCN-8s as one would write it in plain PyTorch, eager, with its own optimiser."""

import torch
from torch import nn
from torch.nn import functional as F

from fcn_nets import VGG16
from surgery import upsample_filt


class FCN8s(nn.Module):
    """VGG-16 with pad 100, skips from pool4 and pool3, fixed bilinear upsampling."""

    def __init__(self, classes=21):
        super().__init__()
        self.classes = classes
        channels = 3
        self.stages = nn.ModuleList()
        for stage, (depth, width) in enumerate(VGG16):
            convs = []
            for i in range(depth):
                pad = 100 if stage == i == 0 else 1
                convs += [nn.Conv2d(channels, width, 3, padding=pad), nn.ReLU(inplace=True)]
                channels = width
            self.stages.append(nn.Sequential(*convs, nn.MaxPool2d(2, 2, ceil_mode=True)))
        self.fc6 = nn.Conv2d(512, 4096, 7)
        self.fc7 = nn.Conv2d(4096, 4096, 1)
        self.drop = nn.Dropout(0.5)
        self.score_fr = nn.Conv2d(4096, classes, 1)
        self.score_pool4 = nn.Conv2d(512, classes, 1)
        self.score_pool3 = nn.Conv2d(256, classes, 1)
        for name, stride in (("upscore2", 2), ("upscore_pool4", 2), ("upscore8", 8)):
            up = nn.ConvTranspose2d(classes, classes, 2 * stride, stride, bias=False)
            up.weight.requires_grad = False
            setattr(self, name, up)
        self.interpolate()

    def interpolate(self):
        """Bilinear kernels on the diagonal of each upsampling."""
        for up in (self.upscore2, self.upscore_pool4, self.upscore8):
            up.weight.zero_()
            kernel = torch.from_numpy(upsample_filt(up.kernel_size[0])).float()
            for i in range(self.classes):
                up.weight[i, i] = kernel

    def load(self, params):
        """Take the weights of a caffe.Net's `params`."""
        convs = [m for stage in self.stages for m in stage if isinstance(m, nn.Conv2d)]
        names = [
            f"conv{s}_{i}" for s, (depth, _) in enumerate(VGG16, 1) for i in range(1, depth + 1)
        ]
        named = dict(zip(names, convs))
        named |= {n: getattr(self, n) for n in params if n not in named}
        with torch.no_grad():
            for name, module in named.items():
                module.weight.copy_(torch.from_numpy(params[name][0].data))
                if module.bias is not None:
                    module.bias.copy_(torch.from_numpy(params[name][1].data))

    def forward(self, x):  # (1, 3, H, W) -> (1, classes, H, W)
        height, width = x.shape[2:]
        pools = []
        for stage in self.stages:
            x = stage(x)
            pools.append(x)
        x = self.drop(F.relu(self.fc6(x), inplace=True))
        x = self.drop(F.relu(self.fc7(x), inplace=True))
        x = self.upscore2(self.score_fr(x))
        x = x + crop(self.score_pool4(pools[3]), 5, *x.shape[2:])
        x = self.upscore_pool4(x)
        x = x + crop(self.score_pool3(pools[2]), 9, *x.shape[2:])
        return crop(self.upscore8(x), 31, height, width)


def crop(x, offset, height, width):
    return x[:, :, offset : offset + height, offset : offset + width]


class Trainer:
    """One training step a call, as the published recipe: summed loss, momentum .99, decay 5e-4."""

    def __init__(self, model, rate=1e-14):
        self.model = model.train()
        biases = [p for n, p in model.named_parameters() if n.endswith("bias")]
        others = [
            p for n, p in model.named_parameters() if n.endswith("weight") and p.requires_grad
        ]
        groups = [
            dict(params=others, lr=rate, weight_decay=5e-4),
            dict(params=biases, lr=2 * rate, weight_decay=0),
        ]
        self.optimizer = torch.optim.SGD(groups, momentum=0.99)

    def step(self, x, label):
        self.optimizer.zero_grad(set_to_none=True)
        score = self.model(x)
        loss = F.cross_entropy(score, label[:, 0].long(), ignore_index=255, reduction="sum")
        loss.backward()
        self.optimizer.step()
        return loss.item()
