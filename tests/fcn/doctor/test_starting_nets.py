"""Starting files: of another stage, at chance, and healthy ones."""

import json
import shutil

import numpy as np

import caffe
from caffe.proto import caffe_pb2
from fcn.doctor import starting_nets, stored
from fcn.surgery import interp

CLASSES = 11


def trained(stage, path, uniform=False, sure=1.0):
    """A file of FCN-32s that says something about pictures, or nothing."""
    net = caffe.Net(str(stage.root / "voc-fcn32s/sample/train.prototxt"), caffe.TRAIN)
    net.copy_from(str(stage.root / "classifier.caffemodel"))
    if not uniform:
        weights = net.params["score_fr"][0].data
        weights[...] = np.random.RandomState(1).standard_normal(weights.shape) * sure
    interp(net, ["upscore"])
    net.save(str(path))
    return [("voc-fcn32s", path)]


def test_a_healthy_stage(stage):
    stage.start = trained(stage, stage.root / "fcn32s.caffemodel")
    assert stage.find() == []


def test_a_start_at_chance(stage):
    stage.start = trained(stage, stage.root / "fcn32s.caffemodel", uniform=True)
    found = stage.find()
    assert [each.kind for each in found] == ["start.chance"] and found[0].level == "refuse"
    assert "ln 11 = 2.39790" in found[0].evidence


def test_the_record_of_a_start_at_chance(stage):
    folder = stage.root / "snapshot"
    folder.mkdir()
    stage.start = trained(stage, folder / "train_iter_2.caffemodel")
    accuracy = [1.0] + [0.0] * 9 + [None]
    line = {"iteration": 2, "layer": "score", "accuracy": accuracy, "mean_iu": 0.08}
    (folder / "scores.jsonl").write_text(json.dumps(line) + "\n")
    found = stage.find()
    assert [each.kind for each in found] == ["start.chance"] and "mean IU 0.08" in found[0].evidence


def test_the_file_of_another_stage(stage, drawn, tmp_path):
    file = trained(stage, stage.root / "fcn32s.caffemodel")[0][1]
    assert starting_nets.identify(file, sample=True) == "voc-fcn32s --sample"
    stage.folder = stage.root / "voc-fcn8s/sample"
    stage.start = [("voc-fcn16s", file)]
    found = stage.find()
    assert found[0].kind == "start.other_stage" and found[0].level == "refuse"
    assert "is of voc-fcn32s --sample, but training starts from voc-fcn16s" in found[0].what
    assert "fcn train voc-fcn16s --sample" in found[0].way_out


def test_unmatched_names(task):
    shutil.copy(task.root / "classifier.caffemodel", task.root / "other.caffemodel")
    text = (task.folder / "train.prototxt").read_text()
    for stage in range(1, 6):
        text = text.replace(f'name: "conv{stage}_', f'name: "other{stage}_')
    text = text.replace(
        "kernel_size: 3\n", 'kernel_size: 3\n    weight_filler { type: "xavier" }\n'
    )
    (task.folder / "train.prototxt").write_text(text)
    (task.folder / "val.prototxt").write_text(
        (task.folder / "val.prototxt").read_text().replace('name: "conv', 'name: "other')
    )
    assert "weights.unmatched" in task.kinds()


def test_layers_are_read_without_their_values(tmp_path, drawn):
    net = caffe_pb2.NetParameter.FromString((drawn / "whole.caffemodel").read_bytes())
    wanted = {layer.name: layer.blobs[0].shape.dim[0] for layer in net.layer if layer.blobs}
    assert stored.outputs_of_layers(drawn / "whole.caffemodel") == wanted and len(wanted) > 15
    old = caffe_pb2.NetParameter(name="2014")
    layer = old.layers.add(name="ip", type=caffe_pb2.V1LayerParameter.INNER_PRODUCT)
    layer.blobs.add(num=7, channels=1, height=1, width=2, data=[0.5] * 14)
    (tmp_path / "old.caffemodel").write_bytes(old.SerializeToString())
    assert stored.outputs_of_layers(tmp_path / "old.caffemodel") == {"ip": 7}
    (tmp_path / "text").write_text("no net at all")
    (tmp_path / "empty").write_text("")
    for name in ("text", "empty", "nowhere"):
        assert stored.outputs_of_layers(tmp_path / name) == {}
