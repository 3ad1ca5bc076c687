"""The peer: FCN-8s as one would write it in plain PyTorch, eager, with its own optimiser."""

import torch
from torch import nn
from torch.nn import functional as F

from fcn.nets import VGG16
from fcn.surgery import upsample_filt


class FCN(nn.Module):
    """VGG-16 with pad 100 and, in a subclass, a decoder of fixed bilinear upsamplings.

    All widths but the scores' are divided by `narrow`.
    """

    heads = {}  # name of a score layer: width of its bottom
    upsamplings = {}  # name: stride

    def __init__(self, classes=21, narrow=1):
        super().__init__()
        self.classes = classes
        channels = 3
        self.stages = nn.ModuleList()
        for stage, (depth, width) in enumerate(VGG16):
            convs = []
            width //= narrow
            for i in range(depth):
                pad = 100 if stage == i == 0 else 1
                convs += [nn.Conv2d(channels, width, 3, padding=pad), nn.ReLU(inplace=True)]
                channels = width
            self.stages.append(nn.Sequential(*convs, nn.MaxPool2d(2, 2, ceil_mode=True)))
        self.fc6 = nn.Conv2d(512 // narrow, 4096 // narrow, 7)
        self.fc7 = nn.Conv2d(4096 // narrow, 4096 // narrow, 1)
        self.drop = nn.Dropout(0.5)
        for name, width in self.heads.items():
            setattr(self, name, nn.Conv2d(width // narrow, classes, 1))
        for name, stride in self.upsamplings.items():
            up = nn.ConvTranspose2d(classes, classes, 2 * stride, stride, bias=False)
            up.weight.requires_grad = False
            setattr(self, name, up)
        self.interpolate()

    def interpolate(self):
        """Bilinear kernels on the diagonal of each upsampling."""
        for up in (getattr(self, name) for name in self.upsamplings):
            up.weight.zero_()
            kernel = torch.from_numpy(upsample_filt(up.kernel_size[0])).float()
            for i in range(self.classes):
                up.weight[i, i] = kernel

    def named(self):
        """{name of a layer of the published net: its module}, of those with weights."""
        convs = [m for stage in self.stages for m in stage if isinstance(m, nn.Conv2d)]
        names = [
            f"conv{s}_{i}" for s, (depth, _) in enumerate(VGG16, 1) for i in range(1, depth + 1)
        ]
        heads = {n: m for n, m in self.named_children() if n not in ("stages", "drop")}
        return dict(zip(names, convs)) | heads

    @torch.no_grad()
    def load(self, params):
        """Take the weights of a caffe.Net's `params`."""
        for name, module in self.named().items():
            for own, blob in zip((module.weight, module.bias), params[name]):
                own.copy_(torch.from_numpy(blob.data))

    def body(self, x):
        """The maps of pool3, pool4 and fc7."""
        pools = []
        for stage in self.stages:
            x = stage(x)
            pools.append(x)
        x = self.drop(F.relu(self.fc6(x), inplace=True))
        x = self.drop(F.relu(self.fc7(x), inplace=True))
        return pools[2], pools[3], x


class FCN32s(FCN):
    """One upsampling, by 32."""

    heads = {"score_fr": 4096}
    upsamplings = {"upscore": 32}

    def forward(self, x):  # (1, 3, H, W) -> (1, classes, H, W)
        return crop(self.upscore(self.score_fr(self.body(x)[-1])), 19, *x.shape[2:])


class FCN8s(FCN):
    """Skips from pool4 and pool3."""

    heads = {"score_fr": 4096, "score_pool4": 512, "score_pool3": 256}
    upsamplings = {"upscore2": 2, "upscore_pool4": 2, "upscore8": 8}

    def forward(self, x):  # (1, 3, H, W) -> (1, classes, H, W)
        height, width = x.shape[2:]
        pool3, pool4, x = self.body(x)
        x = self.upscore2(self.score_fr(x))
        x = x + crop(self.score_pool4(pool4), 5, *x.shape[2:])
        x = self.upscore_pool4(x)
        x = x + crop(self.score_pool3(pool3), 9, *x.shape[2:])
        return crop(self.upscore8(x), 31, height, width)


def crop(x, offset, height, width):
    """Caffe's Crop of a map."""
    return x[:, :, offset : offset + height, offset : offset + width]


class Trainer:
    """One training step a call, as the published recipe: summed loss, momentum .99, decay 5e-4."""

    def __init__(self, model, precision="float32", rate=1e-14):
        self.model = model.train()
        self.precision = precision
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
        return self.launch(x, label).item()

    def launch(self, x, label):
        """The same without waiting for a GPU: the loss as a tensor."""
        self.optimizer.zero_grad(set_to_none=True)
        value = loss(self.model, x, label, self.precision)
        value.backward()
        self.optimizer.step()
        return value


def loss(model, x, label, precision="float32"):
    """Softmax loss summed over the pixels, 255 marking those without a label."""
    label = label[:, 0].long()
    with torch.autocast(x.device.type, torch.bfloat16, enabled=precision == "bf16"):
        return F.cross_entropy(model(x), label, ignore_index=255, reduction="sum")


def read(folder, device):
    """The model from the file of `fcn8s.write`."""
    state = torch.load(folder / "fcn8s.pt")
    with torch.device("meta"):  # no weights of its own beside those of the file
        model = FCN8s(narrow=VGG16[0][1] // len(state["stages.0.0.bias"]))
    model.load_state_dict(state, assign=True)
    return model.to(device)


def eager(folder, precision, size, device):
    """A function from picture to scores."""
    model = read(folder, device).eval()

    @torch.inference_mode()
    def run(x):
        return model(torch.from_numpy(x).to(device)).cpu().numpy()

    return run


def autocast(folder, precision, size, device):
    """The same in bfloat16, as torch.autocast does it."""
    model = read(folder, device).eval()

    @torch.inference_mode()
    def run(x):
        with torch.autocast(device.type, torch.bfloat16):
            return model(torch.from_numpy(x).to(device)).float().cpu().numpy()

    return run
