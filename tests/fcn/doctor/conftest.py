"""The embedded task in small: a few scenes, FCN-32s on them, and random starting weights."""

import shutil

import numpy as np
import pytest
import scipy.io
from places import ROOT

import caffe
from caffe.proto import caffe_pb2
from fcn import places, prototxts
from fcn.datasets.sample import draw
from fcn.doctor import Case, before_training
from fcn.surgery import interp

SPLITS = {split: (tree, role, 8) for split, (tree, role, _) in draw.SPLITS.items()}


@pytest.fixture(scope="session")
def drawn(tmp_path_factory):
    """The scenes and the classifier's weights, made once."""
    root = tmp_path_factory.mktemp("drawn")
    draw.write(root / "scenes", 0, SPLITS)
    net = caffe.Net(deploy_of(ROOT / "voc-fcn32s/sample/val.prototxt", root), caffe.TEST)
    rng = np.random.RandomState(0)
    for name, blobs in net.params.items():
        if not name.startswith(("score", "upscore")):
            fan = blobs[0].data[0].size
            blobs[0].data[...] = rng.standard_normal(blobs[0].data.shape) * np.sqrt(2 / fan)
    net.save(str(root / "whole.caffemodel"))
    weights = caffe_pb2.NetParameter.FromString((root / "whole.caffemodel").read_bytes())
    kept = [layer for layer in weights.layer if not layer.name.startswith(("score", "upscore"))]
    del weights.layer[:]
    weights.layer.extend(kept)
    (root / "classifier.caffemodel").write_bytes(weights.SerializeToString())
    return root


def deploy_of(prototxt, folder):
    path = folder / "deploy.prototxt"
    path.write_text(prototxts.text_of(prototxts.deploy(prototxts.read_net(prototxt))))
    return str(path)


class Task:
    """A folder with the embedded task; `find` builds its case and returns what is found."""

    def __init__(self, root, model="voc-fcn32s"):
        self.root = root
        self.folder = root / model / "sample"
        self.scenes = root / "data/sample/scenes"
        self.start = [("ilsvrc-nets/vgg16-fcn", root / "classifier.caffemodel")]

    @property
    def labels(self):
        """The labels of the train net."""
        return sorted((self.scenes / "sbd/cls").glob("*.mat"))

    @property
    def masks(self):
        """The labels of the test net."""
        return sorted((self.scenes / "voc/SegmentationClass").glob("seg11valid*.png"))

    @staticmethod
    def classes_in(path):
        """The classes in a label of the train net."""
        return np.asarray(scipy.io.loadmat(path)["GTcls"][0]["Segmentation"][0])

    def edit(self, old, new, *names):
        for name in names or ("train", "val"):
            path = self.folder / f"{name}.prototxt"
            text = path.read_text()
            assert old in text, f"{old!r} is not in {name}"
            path.write_text(text.replace(old, new))

    def case(self, built=True, filled=True, **more):
        settings = prototxts.read_text(self.folder / "solver.prototxt", caffe_pb2.SolverParameter())
        nets = {}
        if built:
            nets["net"] = caffe.Net(str(self.folder / "train.prototxt"), caffe.TRAIN)
            for _, file in self.start:
                nets["net"].copy_from(str(file))
            if filled:
                zero = [n for n, blobs in nets["net"].params.items() if not blobs[0].data.any()]
                interp(nets["net"], [name for name in zero if name.startswith("upscore")])
        return Case(self.folder, settings, sample=True, start=self.start, **nets, **more)

    def find(self, **more):
        return self.look(self.case(**more))

    @staticmethod
    def look(case):
        """What is found in a case, without notes."""
        return [finding for finding in before_training(case) if finding.level != "note"]

    def start_from_32s(self, uniform=False):
        """Start from an FCN-32s that says something about pictures, or nothing; returns its file."""
        file = self.root / "fcn32s.caffemodel"
        net = caffe.Net(str(self.root / "voc-fcn32s/sample/train.prototxt"), caffe.TRAIN)
        net.copy_from(str(self.root / "classifier.caffemodel"))
        if not uniform:
            weights = net.params["score_fr"][0].data
            weights[...] = np.random.RandomState(1).standard_normal(weights.shape)
        interp(net, ["upscore"])
        net.save(str(file))
        self.start = [("voc-fcn32s", file)]
        return file

    def kinds(self, **more):
        return sorted({finding.kind for finding in self.find(**more)})


@pytest.fixture
def task(drawn, tmp_path, monkeypatch):
    return make_task(drawn, tmp_path, monkeypatch, "voc-fcn32s")


@pytest.fixture
def stage(drawn, tmp_path, monkeypatch):
    """FCN-16s, which starts from FCN-32s."""
    return make_task(drawn, tmp_path, monkeypatch, "voc-fcn16s")


def make_task(drawn, tmp_path, monkeypatch, model):
    shutil.copytree(drawn / "scenes", tmp_path / "data/sample/scenes")
    for name in ("voc-fcn32s", "voc-fcn16s", "voc-fcn8s"):
        shutil.copytree(
            ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("*.caffemodel", "snapshot*")
        )
    for file in ("classifier.caffemodel", "whole.caffemodel"):
        shutil.copy(drawn / file, tmp_path)
    monkeypatch.setattr(places, "ROOT", tmp_path)
    monkeypatch.setattr(places, "HOME", tmp_path)
    monkeypatch.chdir(tmp_path / model / "sample")
    return Task(tmp_path, model)
