"""Faults that are planted in the embedded task are named; the task as it is has none."""

import re
import shutil

import numpy as np
import pytest
import scipy.io
from PIL import Image

import caffe
from fcn import vis
from fcn.datasets.sample.draw import save_mat
from fcn.datasets.voc import SBDDSegDataLayer
from fcn.doctor import before_training


def test_the_healthy_task_has_no_finding(task):
    assert task.find() == []


def labels(task):
    return sorted((task.scenes / "sbd/cls").glob("*.mat"))


def masks(task):
    return sorted((task.scenes / "voc/SegmentationClass").glob("seg11valid*.png"))


def classes_in(path):
    return np.asarray(scipy.io.loadmat(path)["GTcls"][0]["Segmentation"][0])


def test_unfilled_upscore(task):
    assert task.kinds(filled=False) == ["weights.upscore"]


@pytest.mark.parametrize(
    "mean, nets, kind",
    [
        ("(0.0, 0.0, 0.0)", ["train"], "data.mean_differs"),
        ("(0.0, 0.0, 0.0)", ["train", "val"], "data.no_mean"),
        ("(-76.0, -81.0, -75.0)", ["train", "val"], "data.mean_sign"),
        ("(75.0, 81.0, 76.0)", ["train", "val"], "data.mean_order"),
        ("(104.0, 117.0, 123.0)", ["train", "val"], "data.mean"),
    ],
)
def test_wrong_mean(task, mean, nets, kind):
    """One finding, with one number to put there: the data set's, or that of the training pictures."""
    task.edit("(76.0, 81.0, 75.0)", mean, *nets)
    (finding,) = task.find()
    assert finding.kind == kind
    assert "'mean': (76, 81, 75) in both param_str" in finding.way_out


@pytest.mark.parametrize(
    "mean, nets, kind",
    [
        ("(0.0, 0.0, 0.0)", ["train"], "data.mean_differs"),
        ("(0.0, 0.0, 0.0)", ["train", "val"], "data.no_mean"),
        ("(-76.0, -81.0, -75.0)", ["train", "val"], "data.mean_sign"),
    ],
)
def test_wrong_mean_of_a_set_of_one_s_own(task, mean, nets, kind):
    task.edit("(76.0, 81.0, 75.0)", mean, *nets)
    case = task.case()
    case.task = None
    (finding,) = task.look(case)
    assert finding.kind == kind and len(re.findall("'mean': \\(", str(finding))) == 1
    assert finding.way_out.endswith("that of 8 training pictures")


def test_rate_of_the_other_normalisation(task):
    solver = task.folder / "solver.prototxt"
    solver.write_text(solver.read_text().replace("base_lr: 0.01", "base_lr: 1e-10"))
    found = task.find()
    assert [each.kind for each in found] == ["recipe.rate"]
    assert "too small" in found[0].what and "1e-10" in found[0].evidence
    solver.write_text(solver.read_text().replace("base_lr: 1e-10", "base_lr: 0.01"))
    task.edit("normalize: true", "normalize: false")
    found = task.find()
    assert [each.kind for each in found] == ["recipe.rate"] and "43200 pixels" in found[0].evidence


def test_momentum(task):
    solver = task.folder / "solver.prototxt"
    solver.write_text(solver.read_text().replace("momentum: 0.9", "momentum: 1"))
    assert task.kinds() == ["recipe.momentum"]


def test_a_single_rgb_mask(task):
    path = masks(task)[3]
    with Image.open(path) as image:
        image.convert("RGB").save(path)
    found = task.find()
    assert [each.kind for each in found] == ["labels.rgb"]
    assert str(path) in found[0].evidence and "VOC's classes" in found[0].evidence


def test_255_counted(task):
    task.edit("ignore_label: 255", "")
    found = task.find()
    assert [each.kind for each in found] == ["labels.void_counted"]
    assert "test net" in found[0].what  # SBD's labels have no void


@pytest.mark.parametrize("value, words", [(254, "label 254 and"), (3, "label 3, a class, and")])
def test_another_label_is_ignored(task, value, words):
    """Where labels hold void it is counted; where they do not, nothing is ignored, or a class is."""
    task.edit("ignore_label: 255", f"ignore_label: {value}")
    test, train = task.find()
    assert [each.kind for each in (test, train)] == ["labels.void_counted", "net.ignore"]
    assert f"layer 'loss' of the test net ignores {words} counts label 255" in test.what
    assert "labels hold 255 in" in test.evidence and "of 8 pictures" in test.evidence
    assert f"layer 'loss' of the train net ignores label {value}, " in train.what
    assert f"hold {value} in 0 pixels" in train.evidence or value == 3
    assert (test.level, train.level) == ("refuse", "warn")


def test_no_void_and_nothing_ignored(task):
    task.edit("ignore_label: 255", "ignore_label: -1", "train")
    assert task.find() == []


def test_another_label_is_ignored_where_no_label_is_there(task):
    shutil.rmtree(task.scenes)
    task.edit("ignore_label: 255", "ignore_label: 254")
    found = [each for each in task.find(built=False) if each.kind == "net.ignore"]
    assert ["train net" in each.what for each in found] == [True, False]


@pytest.mark.parametrize("classes", ["eleven", 0, 300, 11.5])
def test_classes_that_are_no_number(task, classes):
    """It is the data layer's fault alone, not that of the nets' outputs."""
    task.edit(
        "\\'classes\\': 11", f"\\'classes\\': {classes!r}".replace("'eleven'", "\\'eleven\\'")
    )
    found = task.find(built=False)
    assert [each.kind for each in found] == ["data.params"] * 2
    assert "'classes' is" in found[0].what and "1 to 255" in found[0].what


def test_shifted_labels(task):
    for path in labels(task):
        save_mat(path, np.roll(classes_in(path), (0, 12), (0, 1)))
    found = task.find()
    assert [each.kind for each in found] == ["labels.shifted"]
    assert "12 pixels to the left" in found[0].what and "train net" in found[0].what


MOVES = {
    "mirrored left to right": lambda label: label[:, ::-1],
    "mirrored top to bottom": lambda label: label[::-1],
    "turned by 180 degrees": lambda label: label[::-1, ::-1],
}


@pytest.mark.parametrize("move", MOVES)
def test_mirrored_labels(task, move):
    for path in labels(task):
        save_mat(path, MOVES[move](classes_in(path)))
    found = task.find()
    assert [each.kind for each in found] == ["labels.mirrored"]
    assert found[0].what.endswith(move) and "8 of 8 pictures" in found[0].evidence


def stored_turned(path, orientation, as_stored):
    """Store a picture turned as EXIF says; `as_stored`: turn no pixel, so that EXIF turns it off."""
    undo = {2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM"}[orientation]
    with Image.open(path) as image:
        exif = image.getexif()
        exif[0x0112] = orientation
        stored = image.copy() if as_stored else image.transpose(Image.Transpose[undo])
    stored.save(path, exif=exif, quality=95)


@pytest.mark.parametrize("orientation", [2, 3, 4])
@pytest.mark.parametrize("count", [1, 5])
def test_labels_of_pictures_as_stored(task, orientation, count):
    paths = sorted((task.scenes / "sbd/img").glob("*.jpg"))[:count]
    for path in paths:
        stored_turned(path, orientation, as_stored=True)
    found = [each for each in before_training(task.case()) if each.kind == "labels.turned"]
    assert [each.level for each in found] == ["warn"]
    assert found[0].what.startswith(f"train net: {count} picture")
    assert "made for the pictures as stored" in found[0].what and paths[0].stem in found[0].evidence


@pytest.mark.parametrize("orientation", [2, 3, 4])
def test_labels_of_pictures_as_read(task, orientation):
    for path in sorted((task.scenes / "sbd/img").glob("*.jpg")):
        stored_turned(path, orientation, as_stored=False)
    assert task.find() == [] and "labels.turned" not in every_kind(task)


def every_kind(task):
    """The kinds of all findings, notes included."""
    return [each.kind for each in before_training(task.case())]


def test_turned_pictures_that_tell_nothing(task):
    """A label without edges: what to look at is said."""
    stored_turned(sorted((task.scenes / "sbd/img").glob("*.jpg"))[2], 3, as_stored=True)
    save_mat(labels(task)[2], np.zeros_like(classes_in(labels(task)[2])))
    found = [each for each in before_training(task.case()) if each.kind == "labels.turned"]
    assert [each.level for each in found] == ["note"] and task.find() == []
    assert "draw the label" in found[0].way_out and "orientation 3" in found[0].evidence


def test_swapped_channels(task, monkeypatch):
    right = SBDDSegDataLayer.load_image
    monkeypatch.setattr(SBDDSegDataLayer, "load_image", lambda self, id: right(self, id)[::-1])
    assert "data.channels" in task.kinds()


def test_wrong_split(task):
    lists = task.scenes / "voc/ImageSets/Segmentation"
    task.edit("seg11valid", "tune", "val")
    assert task.kinds() == ["data.split"]
    (task.scenes / "sbd/train.txt").write_text((lists / "tune.txt").read_text())
    assert "data.same_split" in task.kinds(built=False)


def make_binary(paths, low=0, high=255):
    for path in paths:
        save_mat(path, np.where(classes_in(path) > 0, high, low).astype(np.uint8))


def test_binary_masks(task):
    make_binary(labels(task))
    found = task.find()
    assert [each.kind for each in found] == ["labels.binary"]
    assert "8 of 8 masks look binary" in found[0].what and "127" in found[0].way_out


def test_mostly_binary_masks(task):
    """Some masks with classes do not make 255 void in the others, nor do a few stray pixels."""
    make_binary(labels(task)[:6])
    noisy = classes_in(labels(task)[0]).copy()
    noisy[0, :3] = 1
    save_mat(labels(task)[0], noisy)
    found = task.find()
    assert [(each.kind, each.level) for each in found] == [("labels.binary", "refuse")]
    assert "6 of 8 masks look binary" in found[0].what


def test_a_few_binary_masks(task, monkeypatch):
    make_binary(labels(task)[:3])
    found = task.find()
    assert [(each.kind, each.level) for each in found] == [("labels.binary", "warn")]
    monkeypatch.setattr("fcn.datasets.labels.SOME", 4)
    assert task.find() == []


def test_inverted_binary_masks(task):
    make_binary(labels(task), low=255, high=0)
    found = task.find()
    assert [each.kind for each in found] == ["labels.binary"]
    assert "along the borders" in found[0].way_out and "mask < 128" in found[0].way_out


@pytest.mark.parametrize("low, high", [(0, 128), (128, 0)])
def test_binary_masks_of_another_value(task, low, high):
    """What building the net raises explains itself as the doctor does."""
    make_binary(labels(task), low, high)
    with pytest.raises(ValueError) as raised:
        task.case()
    found = task.find(built=False)
    assert [each.kind for each in found] == ["labels.binary"]
    assert found[0].what.startswith("train net: 8 files: masks are binary")
    for text in (str(raised.value), str(found[0])):
        assert "only 0 and 128 occur" in text and "mask > 0" in text and "'classes': 2" in text
        assert ("an inverted one: 128 holds" in text) == (low == 128)
    assert "data/sample/scenes/sbd/cls/train_" in str(raised.value)


def test_values_out_of_range_and_jpeg(task):
    first, second, third, fourth, fifth = masks(task)[:5]
    classes = np.asarray(Image.open(first))
    vis.save_classes(np.where(classes == 0, 77, classes), first)
    Image.fromarray(np.where(classes > 0, 255, 0).astype(np.uint8)).save(second, "JPEG", quality=60)
    Image.fromarray(classes[:, :-10]).save(third)
    fourth.write_bytes(fourth.read_bytes()[:200])
    Image.fromarray(classes > 0).save(fifth)
    found = {each.kind: each for each in task.find(built=False)}
    assert {f"labels.{kind}" for kind in ("range", "jpeg", "size", "unreadable", "mode")} <= set(
        found
    )
    assert "77" in found["labels.range"].evidence and str(first) in found["labels.range"].evidence
    pixels = (classes == 0).sum()
    assert f"{pixels} pixels" in found["labels.range"].evidence
    assert "180x240, mask 180x230" in found["labels.size"].evidence


def test_exif_explains_the_size(task):
    path = sorted((task.scenes / "voc/JPEGImages").glob("seg11valid*.jpg"))[0]
    with Image.open(path) as image:
        exif = image.getexif()
        exif[0x0112] = 6
        turned = image.rotate(90, expand=True)
        label = Image.open(masks(task)[0])
        turned.save(path, exif=exif)
    label.rotate(30).resize((99, 50)).save(masks(task)[0])
    found = {each.kind: each for each in task.find(built=False)}
    assert "EXIF orientation 6" in found["labels.size"].evidence


def test_exif_turns_a_picture_off_its_mask(task):
    """Whether layers turn pictures or not, one of two masks does not lie on a turned one."""
    path = sorted((task.scenes / "voc/JPEGImages").glob("seg11valid*.jpg"))[0]
    mask = masks(task)[0]
    with Image.open(path) as image:
        exif = image.getexif()
        exif[0x0112] = 6
        image.rotate(90, expand=True).save(path, exif=exif)
    kinds = [task.kinds(built=False)]
    with Image.open(mask) as image:
        image.rotate(90, expand=True).save(mask)
    kinds.append(task.kinds(built=False))
    assert sorted(kinds) == [[], ["labels.exif"]]


def test_permuted_palette(task):
    palette = vis.make_palette(256)
    palette[[1, 2, 3]] = palette[[3, 1, 2]]
    for path in masks(task):
        with Image.open(path) as image:
            image.load()
        image.putpalette(palette.tobytes())
        image.save(path)
    found = task.find()
    assert [each.kind for each in found] == ["labels.palette"]
    assert "1 (zero) has the colour of 3 (two)" in found[0].evidence


def test_unknown_key(task):
    task.edit(
        "'split': 'train'".replace("'", "\\'"),
        "\\'batch_size\\': 4, \\'split\\': \\'train\\'",
        "train",
    )
    case = task.case(built=False)
    found = [each for each in before_training(case) if each.kind.startswith("data.")]
    assert any("iter_size" in each.way_out for each in found)


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
