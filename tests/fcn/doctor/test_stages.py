"""Starting files: of another stage, at chance, and healthy ones."""

import json
import shutil

import numpy as np

import caffe
from fcn.doctor import stages
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
    assert stages.identify(file, sample=True) == "voc-fcn32s --sample"
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
