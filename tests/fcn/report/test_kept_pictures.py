"""Pictures that scoring keeps: what the net saw and what it said."""

import numpy as np
import pytest
from PIL import Image
from run_folder import run_folder

from fcn.report.gallery import Gallery, disagreement, kept
from fcn.report.pictures import Keeper, as_picture, small
from fcn.report.reading import read_run

MEAN = (104.0, 117.0, 123.0)


def bgr(rgb):
    """A picture as a data layer yields it."""
    return (rgb[:, :, ::-1] - np.array(MEAN)).transpose(2, 0, 1)[np.newaxis]


def test_the_input_is_shown_with_its_mean_in_rgb(scene):
    assert np.array_equal(as_picture(bgr(scene), MEAN), scene)
    assert np.array_equal(as_picture(scene.transpose(2, 0, 1) - 5.0, (5,) * 3, "RGB"), scene)


def test_an_input_without_a_mean_or_of_one_channel_is_stretched():
    depth = np.linspace(2, 4, 12).reshape(1, 1, 3, 4)
    picture = as_picture(depth, MEAN)
    assert picture.shape == (3, 4, 3) and picture.min() == 0 and picture.max() == 255
    assert as_picture(np.zeros((3, 2, 2))).max() == 0  # nothing to stretch


def test_keeps_what_the_interface_says(tmp_path, scene):
    classes = np.arange(40 * 60).reshape(40, 60) % 21
    for iteration in (10, 20):
        keeper = Keeper(tmp_path, "score", iteration, count=2, mean=MEAN)
        for id in ("a", "b/1", "c"):
            keeper.keep(id, bgr(scene), classes[np.newaxis, np.newaxis], classes + iteration // 20)
        assert keeper.full
    found = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert found == {
        f"pictures/{name}"
        for name in (
            *("a.input.jpg", "a.truth.png", "b_1.input.jpg", "b_1.truth.png"),
            *(f"score/iter_{n}/{id}.png" for n in (10, 20) for id in ("a", "b_1")),
        )
    }
    with Image.open(tmp_path / "pictures/score/iter_20/a.png") as image:
        assert image.mode == "P" and np.array_equal(np.asarray(image), classes + 1)


def test_input_and_truth_are_written_once(tmp_path, scene):
    Keeper(tmp_path, "score", 1).keep("a", bgr(scene), np.zeros((40, 60)), np.zeros((40, 60)))
    path = tmp_path / "pictures/a.input.jpg"
    path.write_bytes(b"as it was")
    Keeper(tmp_path, "score", 2).keep("a", bgr(scene), np.zeros((40, 60)), np.zeros((40, 60)))
    assert path.read_bytes() == b"as it was"


def test_two_scores_have_truths_of_their_own(tmp_path, scene):
    for layer, value in (("score_sem", 3), ("score_geo", 1)):
        truth = np.full((40, 60), value)
        Keeper(tmp_path, layer, 1).keep("a", bgr(scene), truth, truth)
    run_pictures = tmp_path / "pictures"
    for end, value in (("sem", 3), ("geo", 1)):
        with Image.open(run_pictures / f"a.truth_{end}.png") as image:
            assert (np.asarray(image) == value).all()


def test_large_pictures_are_kept_small_and_classes_stay_classes():
    classes = np.where(np.arange(1200)[:, None] < 600, 3, -1) * np.ones((1, 900), int)
    kept_classes = small(classes)
    assert kept_classes.shape == (500, 375)
    assert np.unique(kept_classes).tolist() == [3, 255]


def test_disagreement_leaves_void_out(tmp_path):
    truth = np.zeros((1, 4), np.uint8)
    truth[0, 3] = 255
    Keeper(tmp_path, "score", 1).keep("a", np.zeros((3, 1, 4)), truth, [[0, 0, 1, 1]])
    pictures = tmp_path / "pictures"
    picture, share = disagreement(pictures / "a.truth.png", pictures / "score/iter_1/a.png")
    assert picture.src.startswith("data:image/png;base64,") and share == pytest.approx(2 / 3)


def test_earlier_scorings_are_left_out_where_there_is_no_room(tmp_path):
    run = read_run(run_folder(tmp_path, rounds=12, pictures=2))
    assert kept(run, "score").iterations[0] == 2000
    rows = Gallery().rows([run], "score")
    assert [len(row.earlier) for row in rows] == [8, 8]
    assert [picture.caption for picture in rows[0].first] == [
        *("input", "truth", "iteration 2,000", "wrong")
    ]
    needed = sum(len(picture.src) for row in rows for picture in row.first)
    rows = Gallery(needed + 1).rows([run], "score")
    assert len(rows) == 2 and not any(row.earlier for row in rows)


def test_a_broken_picture_is_left_out(tmp_path):
    folder = run_folder(tmp_path, pictures=2)
    first, second = sorted((folder / "pictures").glob("*.input.jpg"))
    first.write_bytes(first.read_bytes()[:100])
    rows = Gallery().rows([read_run(folder)], "score")
    assert [len(row.first) for row in rows] == [3, 4]
