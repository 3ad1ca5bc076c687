"""AnnotatedData, and what it does to pictures with boxes."""

import random

import numpy as np
import pytest
from gradient_check import Layers

import caffe
from caffe.layers.forks import augmentation
from caffe.proto import caffe_pb2

PICTURES = np.random.default_rng(3).integers(0, 256, (3, 3, 20, 30), dtype=np.uint8)
OBJECTS = [
    [(4, 0, 0.1, 0.2, 0.5, 0.6, 0), (7, 0, 0.5, 0.5, 0.9, 0.75, 1)],
    [],
    [(7, 1, 0.0, 0.0, 1.0, 1.0, 0)],
]


@pytest.fixture
def database(tmp_path):
    lmdb = pytest.importorskip("lmdb")
    path = tmp_path / "lmdb"
    with lmdb.open(str(path), map_size=2**20) as environment, environment.begin(write=True) as rows:
        for i, (picture, objects) in enumerate(zip(PICTURES, OBJECTS)):
            record = caffe_pb2.AnnotatedDatum(type=caffe_pb2.AnnotatedDatum.BBOX)
            record.datum.CopyFrom(caffe.io.array_to_datum(picture))
            for label, instance, *corners, difficult in objects:
                annotation = record.annotation_group.add(group_label=label).annotation.add(
                    instance_id=instance
                )
                for name, value in zip(("xmin", "ymin", "xmax", "ymax"), corners):
                    setattr(annotation.bbox, name, value)
                annotation.bbox.difficult = bool(difficult)
            rows.put(b"%08d" % i, record.SerializeToString())
    return path


def data(path, transform="", own="", batch=1):
    return Layers(
        f'type: "AnnotatedData" data_param {{ source: "{path}" backend: LMDB batch_size: {batch} }} '
        f"transform_param {{ {transform} }} annotated_data_param {{ {own} }}",
        tops=2,
    )


def test_pictures_and_objects(database):
    run = data(database, "mean_value: 104", batch=3)
    pictures, objects = run.forward()
    np.testing.assert_array_equal(pictures, PICTURES.astype(float) - 104)
    wanted = [[i, *row] for i, rows in enumerate(OBJECTS) for row in rows]
    np.testing.assert_allclose(objects, np.array(wanted)[None, None], rtol=1e-6)


def test_a_picture_without_objects(database):
    run = data(database)
    assert run.forward()[1].shape == (1, 1, 2, 8)
    assert run.forward()[1].tolist() == [[[[-1] * 8]]]


def test_sizes_and_mirrors(database):
    text = "resize_param { height: 10 width: 15 interp_mode: [LINEAR, AREA, NEAREST] } mirror: true"
    flipped = set()
    for seed in range(8):
        caffe.set_random_seed(seed)
        run = data(database, text)
        pictures, objects = run.forward()
        assert pictures.shape == (1, 3, 10, 15)
        left, right = objects[0, 0, 0, 3], objects[0, 0, 0, 5]
        assert np.isclose(right - left, 0.4)
        flipped.add(bool(np.isclose(left, 0.5)))
    assert flipped == {True, False}


SAMPLERS = """batch_sampler { max_sample: 1 max_trials: 1 }
batch_sampler { sampler { min_scale: 0.3 max_scale: 1 min_aspect_ratio: 0.5 max_aspect_ratio: 2 }
  sample_constraint { min_jaccard_overlap: 0.5 } max_sample: 1 max_trials: 50 }"""


def test_all_of_it_keeps_boxes_on_what_they_show(database):
    """A white rectangle, whatever is done to the picture, stays within its box."""
    lmdb = pytest.importorskip("lmdb")
    picture = np.zeros((3, 40, 60), np.uint8)
    picture[:, 10:30, 15:45] = 255
    record = caffe_pb2.AnnotatedDatum()
    record.datum.CopyFrom(caffe.io.array_to_datum(picture))
    box = record.annotation_group.add(group_label=1).annotation.add().bbox
    box.xmin, box.ymin, box.xmax, box.ymax = 0.25, 0.25, 0.75, 0.75
    path = database.parent / "one"
    with lmdb.open(str(path), map_size=2**20) as environment, environment.begin(write=True) as rows:
        rows.put(b"0", record.SerializeToString())
    text = """mirror: true mean_value: 0 resize_param { height: 50 width: 50 }
    expand_param { prob: 0.5 max_expand_ratio: 2 } emit_constraint { emit_type: CENTER }
    distort_param { brightness_prob: 0.5 brightness_delta: 20 contrast_prob: 0.5 contrast_lower: 0.8
      contrast_upper: 1.2 saturation_prob: 0.5 saturation_lower: 0.5 saturation_upper: 1.5
      hue_prob: 0.5 hue_delta: 18 random_order_prob: 0.5 }"""
    run, seen = data(path, text, SAMPLERS), set()
    for _ in range(30):
        pictures, objects = run.forward()
        bright = pictures[0].mean(0) > 128
        left, top, right, bottom = objects[0, 0, 0, 3:7] * 50
        rows, columns = np.flatnonzero(bright.any(1)), np.flatnonzero(bright.any(0))
        assert abs(rows[0] - top) < 3 and abs(rows[-1] + 1 - bottom) < 3
        assert abs(columns[0] - left) < 3 and abs(columns[-1] + 1 - right) < 3
        seen.add(tuple(np.round(objects[0, 0, 0, 3:7], 2)))
    assert len(seen) > 5


def test_a_window_keeps_what_its_rule_lets_through():
    objects = np.array(OBJECTS[0], float)
    rule = caffe_pb2.EmitConstraint(emit_type=caffe_pb2.EmitConstraint.CENTER)
    window = np.array([0.0, 0.0, 0.6, 0.7])
    part, kept = augmentation.cut(PICTURES[0], objects, window, rule)
    assert part.shape == (3, 14, 18) and kept[:, 0].tolist() == [4]
    np.testing.assert_allclose(kept[0, 2:6], [0.1 / 0.6, 0.2 / 0.7, 0.5 / 0.6, 0.6 / 0.7])
    _, kept = augmentation.cut(PICTURES[0], objects, window, None)
    assert kept[:, 0].tolist() == [4, 7] and kept[1, 4:6].tolist() == [1, 1]  # cut off at the edge
    rule = caffe_pb2.EmitConstraint(
        emit_type=caffe_pb2.EmitConstraint.MIN_OVERLAP, emit_overlap=0.3
    )
    assert augmentation.cut(PICTURES[0], objects, window, rule)[1][:, 0].tolist() == [4]


@pytest.mark.parametrize(
    "rule, fits",
    [
        ({}, True),
        ({"min_jaccard_overlap": 0.5}, True),
        ({"min_jaccard_overlap": 0.9}, False),
        ({"max_jaccard_overlap": 0.1}, True),  # the second object
        ({"min_object_coverage": 0.9, "max_sample_coverage": 0.5}, False),
        ({"min_object_coverage": 0.9, "max_sample_coverage": 0.7}, True),
    ],
)
def test_rules_of_samples(rule, fits):
    window = np.array([0.0, 0.2, 0.5, 0.7])
    rule = caffe_pb2.SampleConstraint(**rule)
    assert augmentation.satisfies(window, np.array(OBJECTS[0], float), rule) == fits


def test_without_a_window_the_picture_stays():
    sampler = caffe_pb2.BatchSampler(max_trials=3)
    sampler.sample_constraint.min_jaccard_overlap = 0.99
    assert augmentation.sample(np.array(OBJECTS[0]), [sampler], random.Random(0)) is None
    assert augmentation.sample(np.zeros((0, 7)), [], random.Random(0)) is None


@pytest.mark.parametrize(
    "transform, kind, says",
    [
        ("crop_size: 3", NotImplementedError, "crop_size not there"),
        ("noise_param { }", NotImplementedError, "noise_param not there"),
        ("resize_param { resize_mode: FIT_SMALL_SIZE }", NotImplementedError, "WARP only"),
        ("resize_param { height: 3 }", ValueError, "needs height and width"),
    ],
)
def test_bad_settings(transform, kind, says, database):
    with pytest.raises(kind, match=says):
        data(database, transform)


def test_records_that_are_none(database):
    lmdb = pytest.importorskip("lmdb")
    path = database.parent / "bad"
    with lmdb.open(str(path), map_size=2**20) as environment, environment.begin(write=True) as rows:
        rows.put(b"0", b"\\xff\\xff\\xff")
    with pytest.raises(ValueError, match="record 0 is no AnnotatedDatum"):
        data(path)
