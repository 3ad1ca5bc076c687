"""A model folder small enough to train in a test: pictures, VOC and SBD trees, prototxts, solver.

Each class is a colour, so that a 1x1 convolution can tell them apart.
"""

import numpy as np
import scipy.io
from PIL import Image

import caffe
from caffe import layers as L
from fcn.datasets.voc import add_data_layer
from fcn.nets import seg_loss
from fcn.prototxts import deploy, read_net, text_of

COLOURS = np.array([[20, 20, 20], [230, 30, 30], [30, 230, 30]], np.uint8)  # RGB of each class
MEAN = (90.0, 95.0, 100.0)
SOLVER = """train_net: "train.prototxt" test_net: "val.prototxt" test_iter: 3
test_interval: 999999999 test_initialization: false display: 0 lr_policy: "fixed" base_lr: 0.01
momentum: 0.9 snapshot: {snapshot} snapshot_prefix: "snapshot/train"
"""


def picture(rng, height, width):
    """(H x W x 3 RGB, H x W classes): a background with a rectangle of each other class."""
    labels = np.zeros((height, width), np.uint8)
    labels[4:14, 3 : 10 + rng.randint(5)] = 1
    labels[16 : 24 + rng.randint(4), 12:] = 2
    return COLOURS[labels], labels


def write_data(root, held_back=("c", "d", "e")):
    """SBD's tree with a split `train` of a and b, VOC's with a split `seg11valid`."""
    rng = np.random.RandomState(0)
    sbd, voc = root / "sbd", root / "voc"
    for folder in ("img", "cls"):
        (sbd / folder).mkdir(parents=True)
    for folder in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (voc / folder).mkdir(parents=True)
    for name in "ab":
        pixels, labels = picture(rng, 30, 34)
        Image.fromarray(pixels).save(sbd / "img" / f"{name}.jpg", quality=100, subsampling=0)
        gt = np.zeros((1, 1), [("Segmentation", "O")])
        gt[0, 0]["Segmentation"] = labels
        scipy.io.savemat(sbd / "cls" / f"{name}.mat", {"GTcls": gt})
    (sbd / "train.txt").write_text("a\nb\n")
    for name in held_back:
        pixels, labels = picture(rng, 32, 28)
        Image.fromarray(pixels).save(voc / "JPEGImages" / f"{name}.jpg", quality=100, subsampling=0)
        label = Image.fromarray(labels)
        label.putpalette([0] * 768)
        label.save(voc / "SegmentationClass" / f"{name}.png")
    (voc / "ImageSets/Segmentation/seg11valid.txt").write_text("\n".join(held_back) + "\n")


def write_model(folder, snapshot=0):
    """classes.txt, train.prototxt, val.prototxt and solver.prototxt of a net on `write_data`'s trees."""
    folder.mkdir(parents=True)
    (folder / "classes.txt").write_text("background\naeroplane\nbicycle\n")
    for name, split in (("train", "train"), ("val", "seg11valid")):
        n = caffe.NetSpec()
        trees = dict(sbdd_dir="sbd", voc_dir="voc")
        add_data_layer(n, split, **trees, mean=MEAN, classes=3)
        n.body = L.Convolution(n.data, num_output=3, kernel_size=1, pad=20)
        n.drop7 = L.Pooling(n.body, kernel_size=2, stride=2, pool=1)
        n.score_fr = L.Convolution(n.drop7, num_output=3, kernel_size=1)
        n.upscore = L.Deconvolution(
            n.score_fr,
            convolution_param=dict(num_output=3, kernel_size=4, stride=2, bias_term=False),
            param=[dict(lr_mult=0)],
        )
        n.score = caffe.coord_map.crop(n.upscore, n.data)
        n.loss = seg_loss(n.score, n.label, normalize=True)
        (folder / f"{name}.prototxt").write_text(text_of(n.to_proto()))
    (folder / "solver.prototxt").write_text(SOLVER.format(snapshot=snapshot))


def write_weights(folder, path, body=None, score=None):
    """Weights for that net: body passes pixels/100 on, and score is zero, unless given."""
    deployed = folder / "made.prototxt"
    deployed.write_text(text_of(deploy(read_net(folder / "val.prototxt"))))
    net = caffe.Net(str(deployed), caffe.TEST)
    deployed.unlink()
    net.params["body"][0].data[...] = (np.eye(3) / 100 if body is None else body)[:, :, None, None]
    if score is not None:
        net.params["score_fr"][0].data[...] = np.asarray(score)[:, :, None, None]
    diagonal = np.outer([1, 3, 3, 1], [1, 3, 3, 1]) / 16
    net.params["upscore"][0].data[range(3), range(3)] = diagonal
    net.save(str(path))
