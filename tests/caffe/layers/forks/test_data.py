"""Pictures with maps of labels, as three forks read them."""

import numpy as np
import pytest
from gradient_check import Layers
from PIL import Image

import caffe

GENERATOR = np.random.default_rng(5)
PICTURES = GENERATOR.integers(0, 256, (3, 3, 6, 8), dtype=np.uint8)  # channels B, G, R
LABELS = GENERATOR.integers(0, 256, (3, 6, 8), dtype=np.uint8)


@pytest.fixture
def folder(tmp_path):
    lines = []
    for i, (picture, labels) in enumerate(zip(PICTURES, LABELS)):
        Image.fromarray(picture[::-1].transpose(1, 2, 0)).save(tmp_path / f"p{i}.png")
        Image.fromarray(labels).save(tmp_path / f"l{i}.png")
        lines.append(f"p{i}.png l{i}.png\n")
    (tmp_path / "list.txt").write_text("".join(lines))
    return tmp_path


def seg(folder, settings="", transform="", tops=3, phase=caffe.TEST, kind="ImageSegData"):
    message = "dense_image_data_param" if kind == "DenseImageData" else "image_data_param"
    run = Layers(
        f'type: "{kind}" {message} {{ source: "{folder}/list.txt" root_folder: "{folder}/" '
        f"{settings} }} transform_param {{ {transform} }}",
        tops=tops,
        phase=phase,
    )
    return run


def batch(run):
    return [array.copy() for array in run.forward()]


PIXEL = "label_type: PIXEL batch_size: 1"


def test_pictures_labels_and_sizes_in_order(folder):
    run = seg(folder, PIXEL, "mean_value: 10 mean_value: 20 mean_value: 30 scale: 0.5")
    mean = np.reshape([10, 20, 30], (3, 1, 1))
    for i in (0, 1, 2, 0):
        picture, labels, dims = batch(run)
        np.testing.assert_allclose(picture[0], (PICTURES[i] - mean) * 0.5)
        np.testing.assert_array_equal(labels[0, 0], LABELS[i])
        assert dims.shape == (1, 1, 1, 2) and dims.ravel().tolist() == [6, 8]


def test_labels_of_sixteen_bits_are_numbers_up_to_255(folder):
    for i, most in enumerate((255, 4000, 255)):
        Image.fromarray(np.full((6, 8), most, np.uint16)).save(folder / f"l{i}.png")
    run = seg(folder, PIXEL)
    assert (batch(run)[1] == 255).all()
    with pytest.raises(ValueError, match=r"l1.png go up to 4000: eight bits hold them all"):
        batch(run)


def test_what_is_smaller_than_the_cut_is_padded(folder):
    run = seg(folder, f"{PIXEL} ignore_label: 21", "crop_size: 10 mean_value: 7")
    picture, labels, dims = batch(run)
    assert picture.shape == (1, 3, 10, 10) and labels.shape == (1, 1, 10, 10)
    np.testing.assert_array_equal(picture[0, :, :6, :8], PICTURES[0].astype(float) - 7)
    assert not picture[0, :, 6:].any() and not picture[0, :, :, 8:].any()
    assert (labels[0, 0, 6:] == 21).all() and (labels[0, 0, :, 8:] == 21).all()
    assert dims.ravel().tolist() == [6, 8]


def test_test_cuts_the_middle_and_train_anywhere_both_alike(folder):
    picture, labels, dims = batch(seg(folder, PIXEL, "crop_height: 4 crop_width: 6"))
    np.testing.assert_array_equal(picture[0], PICTURES[0][:, 1:5, 1:7])
    np.testing.assert_array_equal(labels[0, 0], LABELS[0][1:5, 1:7])
    assert dims.ravel().tolist() == [4, 6]
    starts = set()
    for seed in range(15):
        caffe.set_random_seed(seed)
        run = seg(folder, PIXEL, "crop_size: 5 mirror: true", phase=caffe.TRAIN)
        picture, labels, _ = batch(run)
        found = [
            (top, left, flip)
            for top in range(2)
            for left in range(4)
            for flip in (1, -1)
            if np.array_equal(labels[0, 0], LABELS[0][top : top + 5, left : left + 5][:, ::flip])
        ]
        assert len(found) == 1
        top, left, flip = found[0]
        cut = PICTURES[0][:, top : top + 5, left : left + 5][:, :, ::flip]
        np.testing.assert_array_equal(picture[0], cut)
        starts.add(found[0])
    assert len(starts) > 4 and {flip for _, _, flip in starts} == {1, -1}


def test_scales_are_drawn(folder):
    run = seg(folder, PIXEL, "scale_factors: 0.5 scale_factors: 2 crop_size: 20", phase=caffe.TRAIN)
    sizes = set()
    for _ in range(12):
        _, labels, _ = batch(run)
        sizes.add((labels[0, 0] != 255).any(1).sum())
    assert sizes == {3, 12}


def test_kinds_of_labels(folder, tmp_path):
    (folder / "list.txt").write_text("p0.png 3\np1.png 7\n")
    _, labels, _ = batch(seg(folder, "batch_size: 2"))
    assert labels.shape == (2, 1, 1, 1) and labels.ravel().tolist() == [3, 7]
    (folder / "list.txt").write_text("p0.png\n")
    _, labels, dims = batch(seg(folder, "label_type: NONE"))
    assert labels.shape == (1, 1, 6, 8) and (labels == 255).all()
    assert batch(seg(folder, "has_label: false", tops=2))[1].ravel().tolist() == [6, 8]


def test_a_palette_gives_its_numbers(folder):
    image = Image.fromarray(LABELS[0] % 21, "P")
    image.putpalette([v for i in range(256) for v in (255 - i, i, 0)])
    image.save(folder / "l0.png")
    np.testing.assert_array_equal(batch(seg(folder, PIXEL))[1][0, 0], LABELS[0] % 21)


def test_hed_s_labels_are_edges_or_not(folder):
    picture, labels = batch(seg(folder, "", tops=2, kind="ImageLabelmapData"))
    np.testing.assert_array_equal(picture[0], PICTURES[0])
    np.testing.assert_array_equal(labels[0, 0], LABELS[0] >= 128)


def test_segnet_s_labels_are_the_nearest(folder):
    run = seg(folder, "batch_size: 2 new_height: 3 new_width: 4", tops=2, kind="DenseImageData")
    picture, labels = batch(run)
    assert picture.shape == (2, 3, 3, 4)
    np.testing.assert_array_equal(labels[:, 0], LABELS[:2, ::2, ::2])
    run = seg(folder, "batch_size: 1 label_divide_factor: 10", tops=2, kind="DenseImageData")
    np.testing.assert_array_equal(batch(run)[1][0, 0], LABELS[0] // 10)
    run = seg(folder, "batch_size: 1 crop_height: 2 crop_width: 4", tops=2, kind="DenseImageData")
    np.testing.assert_array_equal(batch(run)[1][0, 0], LABELS[0][2:4, 2:6])


def test_shuffled_and_skipped(folder):
    orders = set()
    for seed in range(8):
        caffe.set_random_seed(seed)
        run = seg(folder, f"{PIXEL} shuffle: true")
        orders.add(tuple(int(batch(run)[1].sum()) for _ in range(3)))
    assert len(orders) > 2


@pytest.mark.parametrize(
    "lines, settings, transform, kind, says",
    [
        ("", PIXEL, "", "ImageSegData", "lists no pictures"),
        ("p0.png\n", PIXEL, "", "ImageSegData", "picture 1: a picture and its labels are needed"),
        ("p0.png x\n", "", "", "ImageSegData", "'x' is no number, as label_type IMAGE"),
        ("p0.png p9.png\n", PIXEL, "", "ImageSegData", "cannot read labels .*p9.png"),
        ("p0.png l0.png\n", PIXEL, 'mean_file: "m"', "ImageSegData", "takes no mean_file"),
        (
            "p0.png l0.png\n",
            "batch_size: 1",
            "crop_size: 3",
            "DenseImageData",
            "dense_image_data_param",
        ),
        ("p0.png l0.png\n", "batch_size: 1 rand_skip: 99", "", "DenseImageData", None),
    ],
)
def test_bad_settings(lines, settings, transform, kind, says, folder):
    (folder / "list.txt").write_text(lines)
    if says is None:  # some of the numbers drawn skip more than there is
        caffe.set_random_seed(1)
        says = "skips all 1 pictures"
    with pytest.raises(ValueError, match=says):
        seg(folder, settings, transform, tops=2, kind=kind)


def test_labels_of_another_size(folder):
    Image.fromarray(LABELS[0][:4]).save(folder / "l0.png")
    with pytest.raises(ValueError, match="p0.png is of 6x8, its labels of 4x8"):
        seg(folder, PIXEL)


def test_pictures_of_two_sizes_in_a_batch(folder):
    Image.fromarray(PICTURES[0, 0, :4]).save(folder / "p1.png")
    Image.fromarray(LABELS[0][:4]).save(folder / "l1.png")
    with pytest.raises(ValueError, match="must have one shape.*give a crop size"):
        seg(folder, "label_type: PIXEL batch_size: 2")


def test_a_list_that_is_not_there(tmp_path):
    with pytest.raises(ValueError, match="source, the list of pictures: .*list.txt"):
        seg(tmp_path, PIXEL)
