"""Faults that are planted in the embedded task are named; the task as it is has none."""

import caffe


def test_the_healthy_task_has_no_finding(task):
    assert task.find() == []


def test_unfilled_upscore(task):
    assert task.kinds(filled=False) == ["weights.upscore"]


def test_crops(task):
    task.edit("offset: 19", "offset: 12", "train")
    found = task.find()
    assert [each.kind for each in found] == ["net.offset"] and "7 pixels off" in found[0].what
    task.edit("axis: 2", "axis: 1", "train")
    assert "net.crop_axis" in task.kinds(built=False)


def test_outputs_against_classes(task):
    task.edit("num_output: 11", "num_output: 9", "train")
    found = task.find(built=False)
    assert [each.kind for each in found] == ["net.outputs"] and "9 channels" in found[0].what


def test_frozen(task):
    for rate in ("1.0", "2.0", "0.00027777778"):
        task.edit(f"lr_mult: {rate}", "lr_mult: 0.0", "train")
    assert "weights.frozen" in task.kinds()


def test_all_that_is_missing_at_once(task):
    (task.scenes / "sbd").rename(task.scenes / "elsewhere")
    (task.scenes / "voc/ImageSets/Segmentation/seg11valid.txt").unlink()
    task.start = []
    found = task.find(built=False, wanted=["ilsvrc-nets/vgg16-fcn"])
    assert [each.kind for each in found] == ["missing.weights", "missing.data", "missing.split"]
    assert [each.way_out for each in found[1:]] == ["fcn data sample"] * 2


def test_memory(task, monkeypatch):
    monkeypatch.setattr(caffe.memory, "device_memory", lambda *device: (2**24, 2**24))
    found = task.find()
    assert [each.kind for each in found] == ["memory.need"] and "--recompute" in found[0].way_out
