"""Facts of the published weights: file names, addresses, sizes, checksums, and who holds copies."""

from typing import NamedTuple

from fcn import models
from fcn.downloads import Checksum

# Net -> the published file, then the names of older editions (2015, as gists) and those that the
# original scripts ask for. Paths are relative to the net's folder.
NAMES = {
    "ilsvrc-nets/vgg16": ["VGG_ILSVRC_16_layers.caffemodel"],
    "ilsvrc-nets/alexnet": ["bvlc_reference_caffenet.caffemodel"],
    "ilsvrc-nets/vgg16-fcn": [
        "vgg16-fcn.caffemodel",
        "vgg16fc.caffemodel",
        "../vgg16fc.caffemodel",
    ],
    "ilsvrc-nets/alexnet-fcn": ["alexnet-fcn.caffemodel"],
    "systems/dilation-frontend": [],  # published as a part of systems/dilation only
    "systems/crf-rnn": ["TVG_CRFRNN_COCO_VOC.caffemodel"],
    "systems/dilation": ["dilation8_pascal_voc.caffemodel"],
    "systems/dilation-basic": [],  # published for other data sets
    "systems/deeplab-largefov": ["train2_iter_8000.caffemodel", "train_iter_6000.caffemodel"],
    "systems/deeplab-v2": ["train2_iter_20000.caffemodel", "train_iter_20000.caffemodel"],
    "systems/hypercolumn": [],  # not published in Caffe's form
    "systems/zoom-out": [],
    "systems/fcn-mil": [],
    "systems/ccnn": [],
    "systems/ccnn-size": [],
    "systems/point-supervision": [],
    "systems/boxsup": [],
    "voc-fcn32s": ["fcn32s-heavy-pascal.caffemodel", "fcn-32s-pascal.caffemodel"],
    "voc-fcn16s": ["fcn16s-heavy-pascal.caffemodel", "fcn-16s-pascal.caffemodel"],
    "voc-fcn8s": ["fcn8s-heavy-pascal.caffemodel", "fcn-8s-pascal.caffemodel"],
    "voc-fcn8s-atonce": ["fcn8s-atonce-pascal.caffemodel"],
    "voc-fcn-alexnet": ["fcn-alexnet-pascal.caffemodel"],
    "nyud-fcn32s-color": [
        "nyud-fcn32s-color-heavy.caffemodel",
        "nyud-rgb-32s-28k.caffemodel",
        "../nyud-rgb-32s/nyud-rgb-32s-28k.caffemodel",
    ],
    "nyud-fcn32s-hha": [
        "nyud-fcn32s-hha-heavy.caffemodel",
        "nyud-hha-32s-60k.caffemodel",
        "../nyud-hha-32s/nyud-hha-32s-60k.caffemodel",
    ],
    "nyud-fcn32s-color-d": [],  # published without weights
    "nyud-fcn32s-color-hha": ["nyud-fcn32s-color-hha-heavy.caffemodel"],
    "siftflow-fcn32s": ["siftflow-fcn32s-heavy.caffemodel"],
    "siftflow-fcn16s": ["siftflow-fcn16s-heavy.caffemodel"],
    "siftflow-fcn8s": ["siftflow-fcn8s-heavy.caffemodel"],
    "pascalcontext-fcn32s": [
        "pascalcontext-fcn32s-heavy.caffemodel",
        "fcn-32s-pascalcontext.caffemodel",
    ],
    "pascalcontext-fcn16s": [
        "pascalcontext-fcn16s-heavy.caffemodel",
        "fcn-16s-pascalcontext.caffemodel",
    ],
    "pascalcontext-fcn8s": [
        "pascalcontext-fcn8s-heavy.caffemodel",
        "fcn-8s-pascalcontext.caffemodel",
    ],
}

SHA1 = {
    "VGG_ILSVRC_16_layers.caffemodel": "9363e1f6d65f7dba68c4f27a1e62105cdf6c4e24",
    "bvlc_reference_caffenet.caffemodel": "4c8d77deb20ea792f84eb5e6d0a11ca0a8660a46",
    "TVG_CRFRNN_COCO_VOC.caffemodel": "bfda5c5149d566aa56695789fa9a08e7a7f3070a",
    "fcn32s-heavy-pascal.caffemodel": "05eb922d7829c39448f57e5ab9d8cd75d6c0be6d",
    "fcn8s-heavy-pascal.caffemodel": "c449ea74dd7d83751d1357d6a8c323fcf4038962",
    "fcn-32s-pascal.caffemodel": "9ef2dbc22768bd562ba5eec2ad6cae3f499141d0",
    "fcn-32s-pascalcontext.caffemodel": "adbbd504c280e2b8966fc32e32ada2a2ecf13603",
    "fcn-8s-pascalcontext.caffemodel": "591e7d8bbc1c55ff151b6984bde85ff5160aee31",
}

# Net -> size of its file, in 10^6 bytes: four bytes a parameter.
MEGABYTES = {
    "ilsvrc-nets/vgg16": 553,
    "ilsvrc-nets/alexnet": 244,
    "ilsvrc-nets/vgg16-fcn": 537,
    "ilsvrc-nets/alexnet-fcn": 227,
    "systems/dilation-frontend": 537,
    "systems/crf-rnn": 538,
    "systems/dilation": 565,
    "systems/dilation-basic": 537,
    "systems/deeplab-largefov": 82,
    "systems/deeplab-v2": 152,
    "systems/hypercolumn": 545,
    "systems/zoom-out": 592,
    "systems/fcn-mil": 545,
    "systems/ccnn": 545,
    "systems/ccnn-size": 545,
    "systems/point-supervision": 545,
    "systems/boxsup": 545,
    "voc-fcn32s": 545,
    "voc-fcn16s": 539,
    "voc-fcn8s": 538,
    "voc-fcn8s-atonce": 538,
    "voc-fcn-alexnet": 235,
    "nyud-fcn32s-color": 564,
    "nyud-fcn32s-color-d": 564,
    "nyud-fcn32s-hha": 564,
    "nyud-fcn32s-color-hha": 1102,
    "siftflow-fcn32s": 556,
    "siftflow-fcn16s": 542,
    "siftflow-fcn8s": 539,
    "pascalcontext-fcn32s": 597,
    "pascalcontext-fcn16s": 553,
    "pascalcontext-fcn8s": 542,
}

# The classification nets' addresses. Each model's own is in its folder's `caffemodel-url`.
ADDRESSES = {
    "ilsvrc-nets/vgg16": (
        "https://www.robots.ox.ac.uk/~vgg/software/very_deep/caffe/VGG_ILSVRC_16_layers.caffemodel",
        "http://www.robots.ox.ac.uk/~vgg/software/very_deep/caffe/VGG_ILSVRC_16_layers.caffemodel",
    ),
    "ilsvrc-nets/alexnet": (
        "http://dl.caffe.berkeleyvision.org/bvlc_reference_caffenet.caffemodel",
    ),
}


class ReExport(NamedTuple):
    """The numbers of a published caffemodel in another library's format, with its known checksum.

    The keys are the layers' names and `weight`, `bias` (PyTorch) or `W`, `b` (Chainer).
    """

    file: str
    url: str
    checksum: Checksum


def on_drive(file: str, id: str, md5: str) -> ReExport:
    """A file that Google Drive holds, at the address that asks no question about its size."""
    url = f"https://drive.usercontent.google.com/download?id={id}&export=download&confirm=t"
    return ReExport(file, url, Checksum("md5", md5))


# By K. Wada, of the projects fcn (Chainer) and pytorch-fcn.
RE_EXPORTS = {
    "ilsvrc-nets/vgg16": (
        on_drive(
            "vgg16_from_caffe.pth",
            "0B9P1L--7Wd2vLTJZMXpIRkVVRFk",
            "aa75b158f4181e7f6230029eb96c1b13",
        ),
    ),
    "voc-fcn32s": (
        on_drive(
            "fcn32s_from_caffe.pth",
            "0B9P1L--7Wd2vM2oya3k0Zlgtekk",
            "8acf386d722dc3484625964cbe2aba49",
        ),
    ),
    "voc-fcn16s": (
        on_drive(
            "fcn16s_from_caffe.pth",
            "0B9P1L--7Wd2vVGE3TkRMbWlNRms",
            "991ea45d30d632a01e5ec48002cac617",
        ),
    ),
    "voc-fcn8s": (
        on_drive(
            "fcn8s_from_caffe.npz",
            "1l_5RK28JRL19wpT22B-DY9We3TVXnnQQ",
            "256c2a8235c1c65e62e48d3284fbd384",
        ),
        on_drive(
            "fcn8s_from_caffe.pth",
            "0B9P1L--7Wd2vT0FtdThWREhjNkU",
            "dbd9bbb3829a3184913bccc74373afbb",
        ),
    ),
    "voc-fcn8s-atonce": (
        on_drive(
            "fcn8s-atonce_from_caffe.pth",
            "0B9P1L--7Wd2vblE1VUIxV1o2d2M",
            "bfed4437e941fef58932891217fe6464",
        ),
    ),
}


def addresses(net: str) -> tuple[str, ...]:
    """Where the published file of a net lies; none for a net that was not published."""
    if net in ADDRESSES:
        return ADDRESSES[net]
    path = models.folder(net) / "caffemodel-url"
    return tuple(path.read_text().split()) if path.is_file() else ()


def about(net: str) -> str:
    """The published file of a net with its size and, if known, its sha1; "" if there is none."""
    if not addresses(net):
        return ""
    file = NAMES[net][0]
    known = f", sha1 {SHA1[file]}" if file in SHA1 else ", no checksum known"
    return f"{file} ({MEGABYTES[net]} MB{known})"
