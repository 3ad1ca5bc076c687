"""Starting files: of another stage, at chance, and healthy ones."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from caffe.proto import caffe_pb2
from fcn import vis
from fcn.doctor import TEST, first_scores, starting_nets, stored
from fcn.doctor.passes import Passes

CLASSES = 11


def test_a_healthy_stage(stage):
    stage.start_from_32s()
    assert stage.find() == []


def test_a_start_at_chance(stage):
    stage.start_from_32s(uniform=True)
    found = stage.find()
    assert [each.kind for each in found] == ["start.chance"] and found[0].level == "refuse"
    assert "ln 11 = 2.39790" in found[0].evidence


def test_a_start_that_gives_one_class(stage):
    """However sure it is of it, and however small that makes the loss."""
    stage.start_from_32s()
    case = stage.case(seconds=60)
    case.net.params["score_fr"][0].data[...] *= 1e-6
    case.net.params["score_fr"][1].data[...] = [1] + [0] * (CLASSES - 1)
    found = stage.look(case)
    assert [(each.kind, each.level) for each in found] == [("start.chance", "refuse")]
    assert "every pixel class 0 (background)" in found[0].what
    assert (
        "6 pictures" in found[0].evidence and "their labels have background, " in found[0].evidence
    )


def test_one_class_where_the_labels_have_one(stage):
    stage.start_from_32s()
    for path in (stage.scenes / "voc/SegmentationClass").glob("*.png"):
        vis.save_classes(np.zeros((180, 240)), path)
    case = stage.case()
    case.net.params["score_fr"][1].data[...] = [1e3] + [0] * (CLASSES - 1)
    assert "start.chance" not in [each.kind for each in stage.look(case)]


def enlarge(stage, place):
    """Put each scored scene, and its label, at a place of a larger picture."""
    for folder, kind in (("JPEGImages", "jpg"), ("SegmentationClass", "png")):
        for path in (stage.scenes / "voc" / folder).glob(f"seg11valid*.{kind}"):
            with Image.open(path) as image:
                large = Image.new(image.mode, (500, 400), 0 if kind == "png" else (76, 81, 75))
                large.paste(image, place)
                if kind == "png":
                    large.putpalette(image.getpalette())
            large.save(path, **({} if kind == "png" else {"quality": 95}))


@pytest.mark.parametrize("place", [(0, 0), (250, 200)])
def test_of_large_pictures_the_part_with_objects_is_looked_at(stage, place):
    enlarge(stage, place)
    stage.start_from_32s()
    passes = Passes(stage.case(), stage.case().sources_of(TEST)[0], ("label",))
    views = list(passes.views())
    assert all(view.is_small and view.objects > 500 for view in views[:-1])
    assert views[-1].labels["label"].shape == (400, 500)
    assert stage.find() == []


def test_what_no_part_shows_is_looked_for_in_a_whole_picture(stage, monkeypatch):
    """A net that finds objects in whole pictures alone is not refused."""
    enlarge(stage, (100, 100))
    stage.start_from_32s()
    case = stage.case()
    add = first_scores.Look.add

    def only_in_whole(self, net, view):
        if view.is_small:
            net.blobs["score"].data[:, 1:] = -1e6
        add(self, net, view)

    monkeypatch.setattr(first_scores.Look, "add", only_in_whole)
    assert stage.look(case) == []


def test_the_record_of_a_start_at_chance(stage):
    folder = stage.root / "snapshot"
    folder.mkdir()
    file = shutil.copy(stage.start_from_32s(), folder / "train_iter_2.caffemodel")
    stage.start = [("voc-fcn32s", file)]
    accuracy = [1.0] + [0.0] * 9 + [None]
    line = {"iteration": 2, "layer": "score", "accuracy": accuracy, "mean_iu": 0.08}
    (folder / "scores.jsonl").write_text(json.dumps(line) + "\n")
    found = stage.find()
    assert [each.kind for each in found] == ["start.chance"] and "mean IU 0.08" in found[0].evidence


def test_the_file_of_another_stage(stage, drawn, tmp_path):
    file = stage.start_from_32s()
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
