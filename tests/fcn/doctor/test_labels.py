"""Labels that are no classes, or not those of the net, and void that is counted."""

import shutil

import numpy as np
import pytest
from PIL import Image

from fcn import vis
from fcn.datasets.sample.draw import save_mat


def test_a_single_rgb_mask(task):
    path = task.masks[3]
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


def make_binary(task, paths, low=0, high=255):
    for path in paths:
        save_mat(path, np.where(task.classes_in(path) > 0, high, low).astype(np.uint8))


def test_binary_masks(task):
    make_binary(task, task.labels)
    found = task.find()
    assert [each.kind for each in found] == ["labels.binary"]
    assert "8 of 8 masks look binary" in found[0].what and "127" in found[0].way_out


def test_mostly_binary_masks(task):
    """Some masks with classes do not make 255 void in the others, nor do a few stray pixels."""
    make_binary(task, task.labels[:6])
    noisy = task.classes_in(task.labels[0]).copy()
    noisy[0, :3] = 1
    save_mat(task.labels[0], noisy)
    found = task.find()
    assert [(each.kind, each.level) for each in found] == [("labels.binary", "refuse")]
    assert "6 of 8 masks look binary" in found[0].what


def test_a_few_binary_masks(task, monkeypatch):
    make_binary(task, task.labels[:3])
    found = task.find()
    assert [(each.kind, each.level) for each in found] == [("labels.binary", "warn")]
    monkeypatch.setattr("fcn.datasets.labels.SOME", 4)
    assert task.find() == []


def test_inverted_binary_masks(task):
    make_binary(task, task.labels, low=255, high=0)
    found = task.find()
    assert [each.kind for each in found] == ["labels.binary"]
    assert "along the borders" in found[0].way_out and "mask < 128" in found[0].way_out


@pytest.mark.parametrize("low, high", [(0, 128), (128, 0)])
def test_binary_masks_of_another_value(task, low, high):
    """What building the net raises explains itself as the doctor does."""
    make_binary(task, task.labels, low, high)
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
    first, second, third, fourth, fifth = task.masks[:5]
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
    assert f"{pixels:,} pixels" in found["labels.range"].evidence
    assert "180x240, mask 180x230" in found["labels.size"].evidence


def test_exif_explains_the_size(task):
    path = sorted((task.scenes / "voc/JPEGImages").glob("seg11valid*.jpg"))[0]
    with Image.open(path) as image:
        exif = image.getexif()
        exif[0x0112] = 6
        turned = image.rotate(90, expand=True)
        label = Image.open(task.masks[0])
        turned.save(path, exif=exif)
    label.rotate(30).resize((99, 50)).save(task.masks[0])
    found = {each.kind: each for each in task.find(built=False)}
    assert "EXIF orientation 6" in found["labels.size"].evidence


def test_exif_turns_a_picture_off_its_mask(task):
    """Whether layers turn pictures or not, one of two masks does not lie on a turned one."""
    path = sorted((task.scenes / "voc/JPEGImages").glob("seg11valid*.jpg"))[0]
    mask = task.masks[0]
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
    for path in task.masks:
        with Image.open(path) as image:
            image.load()
        image.putpalette(palette.tobytes())
        image.save(path)
    found = task.find()
    assert [each.kind for each in found] == ["labels.palette"]
    assert "1 (zero) has the colour of 3 (two)" in found[0].evidence
