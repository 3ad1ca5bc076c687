"""Small nets with the layers, the words and the format of what forks published: they build, run in both
phases, have gradients, and their weights go to a file and back."""

import numpy as np
import pytest
from places import ROOT

import caffe

FOLDER = ROOT / "tests/caffe/fork_nets"
NETS = sorted(path.stem for path in FOLDER.glob("*.prototxt"))
VALUES = {
    ("faster_rcnn", "im_info"): [[48, 64, 1]],
    ("faster_rcnn", "rois"): [
        [0, 0, 0, 40, 30],
        [0, 5, 5, 60, 40],
        [0, 9, 0, 30, 30],
        [0, 0, 9, 9, 40],
    ],
    ("faster_rcnn", "labels"): [[1], [0], [1], [0]],
    ("mnc", "rois"): [[0, 1, 2, 13, 12], [0, 2, 0, 15, 9], [0, 4, 4, 9, 12]],
    ("ssd", "label"): [[[[0, 1, 0, 0.1, 0.1, 0.4, 0.5, 0], [1, 2, 0, 0.5, 0.4, 0.9, 0.9, 0]]]],
}


def built(name, phase):
    caffe.set_random_seed(3)
    net = caffe.Net(str(FOLDER / f"{name}.prototxt"), phase)
    generator = np.random.default_rng(0)
    for blob in net.inputs:
        shape = net.blobs[blob].data.shape
        labels = blob in ("label", "mask_target", "labels")
        values = generator.integers(0, 2, shape) if labels else generator.normal(size=shape)
        net.blobs[blob].data[...] = VALUES.get((name, blob), values)
    for layer, blobs in net.params.items():
        if layer.endswith("bn") and len(blobs) == 4:
            blobs[3].data[...] = 1  # a variance
    return net


@pytest.mark.parametrize("name", NETS)
def test_it_trains(name):
    net = built(name, caffe.TRAIN)
    net.forward()
    net.backward()
    learned = [
        blob
        for layer, rate in zip(net.learnable_params, net.params_lr)
        for blob in [layer] * (rate > 0)
    ]
    assert learned and all(np.isfinite(blob.diff).all() for blob in learned)
    if any(weight for weight in net.blob_loss_weights.values()):
        assert any(blob.diff.any() for blob in learned)


@pytest.mark.parametrize("name", NETS)
def test_it_tests_and_its_weights_come_back(name, tmp_path):
    net = built(name, caffe.TEST)
    outputs = {key: value.copy() for key, value in net.forward().items()}
    assert all(np.isfinite(value).all() for value in outputs.values())
    path = str(tmp_path / "w.caffemodel")
    net.save(path)
    other = built(name, caffe.TEST)
    for blobs in other.params.values():
        for blob in blobs:
            blob.data[...] = 9
    report = other.copy_from(path, report=True)
    assert not report.missing and not report.ignored and not report.coerced
    for mine, theirs in zip(net.params.values(), other.params.values()):
        for a, b in zip(mine, theirs):
            np.testing.assert_array_equal(a.data, b.data)


def test_all_layers_of_forks_that_have_no_files_are_in_one():
    types = {layer.type for name in NETS for layer in built(name, 0).layers}
    types |= {layer.type for name in NETS for layer in built(name, 1).layers}
    forks = {name for name, cls in caffe.layer.LAYER_TYPES.items() if cls.fork}
    elsewhere = {
        *(
            "AnnotatedData",
            "DenseImageData",
            "ImageSegData",
            "ImageLabelmapData",
            "MatRead",
            "MatWrite",
        ),
        *("AdaptiveBiasChannel", "BiasChannel", "DenseCRF", "Padding"),  # a test of their own
        *("SoftmaxCrossEntropyLoss", "SoftmaxWithLossExpectation"),
    }
    assert forks - types == elsewhere
