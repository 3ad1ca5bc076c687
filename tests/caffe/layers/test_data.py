"""Data, ImageData, WindowData and the transformation of pictures, against independent readings."""

import numpy as np
import pytest
from gradient_check import Layers
from PIL import Image

import caffe
from caffe.io import array_to_blobproto, array_to_datum

GENERATOR = np.random.default_rng(11)
PICTURES = GENERATOR.integers(0, 256, (5, 3, 6, 7), dtype=np.uint8)  # channels B, G, R


@pytest.fixture
def database(tmp_path):
    lmdb = pytest.importorskip("lmdb")
    path = tmp_path / "lmdb"
    with lmdb.open(str(path), map_size=2**20) as environment, environment.begin(write=True) as rows:
        for i, picture in enumerate(PICTURES):
            rows.put(b"%08d" % i, array_to_datum(picture, i).SerializeToString())
    return path


@pytest.fixture
def folder(tmp_path):
    """The pictures as PNG files, and a list of them."""
    for i, picture in enumerate(PICTURES):
        Image.fromarray(picture[::-1].transpose(1, 2, 0)).save(tmp_path / f"picture {i}.png")
    (tmp_path / "list.txt").write_text("".join(f"picture {i}.png {i}\n" for i in range(5)))
    return tmp_path


def data(source, text="batch_size: 2", transform="", phase=caffe.TEST, backend="LMDB"):
    return Layers(
        f'type: "Data" data_param {{ source: "{source}" backend: {backend} {text} }} '
        f"transform_param {{ {transform} }}",
        tops=2,
        phase=phase,
    )


def images(folder, text="batch_size: 2", transform="", phase=caffe.TEST, tops=2):
    return Layers(
        f'type: "ImageData" image_data_param {{ source: "{folder}/list.txt" '
        f'root_folder: "{folder}/" '
        f"{text} }} transform_param {{ {transform} }}",
        tops=tops,
        phase=phase,
    )


def batch(run):
    return [array.copy() for array in run.forward()]


def test_data_reads_round_and_round(database):
    run = data(database)
    assert [list(top.shape) for top in run.top] == [[2, 3, 6, 7], [2]]
    for wanted in ([0, 1], [2, 3], [4, 0], [1, 2]):
        pictures, labels = batch(run)
        assert labels.tolist() == wanted
        np.testing.assert_array_equal(pictures, PICTURES[wanted])


def test_data_skips_at_random(database):
    firsts = set()
    for seed in range(12):
        caffe.set_random_seed(seed)
        firsts.add(data(database, "batch_size: 1 rand_skip: 3").layer.upcoming.result()[1][0])
    assert firsts == {0, 1, 2}


def test_encoded_datums(tmp_path, folder):
    lmdb, path = pytest.importorskip("lmdb"), tmp_path / "encoded"
    with lmdb.open(str(path), map_size=2**20) as environment, environment.begin(write=True) as rows:
        datum = array_to_datum(PICTURES[0], 1)
        datum.ClearField("data")
        datum.data, datum.encoded = (folder / "picture 3.png").read_bytes(), True
        rows.put(b"0", datum.SerializeToString())
    np.testing.assert_array_equal(batch(data(path, "batch_size: 1"))[0][0], PICTURES[3])
    assert batch(data(path, "batch_size: 1", "force_gray: true"))[0].shape == (1, 1, 6, 7)


def test_two_layers_may_read_one_database(database):
    first, second = data(database), data(database, "batch_size: 3")
    assert [batch(first)[1].tolist(), batch(second)[1].tolist()] == [[0, 1], [0, 1, 2]]


def test_data_errors(tmp_path, database):
    with pytest.raises(ValueError, match="there is no database"):
        data(tmp_path / "nope")
    with pytest.raises(ValueError, match="cannot open LMDB"):
        (tmp_path / "foreign").mkdir()
        data(tmp_path / "foreign")
    with pytest.raises(ValueError, match="batch_size must be given"):
        data(database, "")
    pytest.importorskip("lmdb").open(str(tmp_path / "empty")).close()
    with pytest.raises(ValueError, match="is empty"):
        data(tmp_path / "empty")


def test_image_data_reads_as_opencv_does(folder):
    run = images(folder)
    for wanted in ([0, 1], [2, 3], [4, 0]):
        pictures, labels = batch(run)
        assert labels.tolist() == wanted
        np.testing.assert_array_equal(pictures, PICTURES[wanted])
    grey = batch(images(folder, "is_color: false"))[0]
    weights = np.array([0.114, 0.587, 0.299]).reshape(3, 1, 1)  # B, G, R
    np.testing.assert_allclose(grey[0, 0], (PICTURES[0] * weights).sum(0), atol=1)


def test_image_data_shuffles_every_round_anew(folder):
    run = images(folder, "batch_size: 5 shuffle: true")
    orders = [tuple(batch(run)[1]) for _ in range(6)]
    assert all(sorted(order) == [0, 1, 2, 3, 4] for order in orders) and len(set(orders)) > 2


def test_one_seed_one_order(folder):
    orders = []
    for _ in range(2):
        caffe.set_random_seed(3)
        run = images(
            folder, "batch_size: 5 shuffle: true", "mirror: true crop_size: 4", caffe.TRAIN
        )
        orders.append([batch(run)[0] for _ in range(3)])
    np.testing.assert_array_equal(orders[0], orders[1])


def test_resizing_is_bilinear_between_pixel_centres(folder):
    pictures = batch(images(folder, "new_height: 12 new_width: 14"))[0]
    inner = (PICTURES[0].astype(float)[:, :-1, :-1] * 9 + PICTURES[0][:, 1:, 1:]) / 16
    inner += 3 * (PICTURES[0].astype(float)[:, 1:, :-1] + PICTURES[0][:, :-1, 1:]) / 16
    np.testing.assert_allclose(pictures[0, :, 1:-1:2, 1:-1:2], inner, atol=0.51)


def test_pictures_of_one_batch_have_one_shape(folder):
    Image.new("RGB", (9, 9)).save(folder / "picture 1.png")
    with pytest.raises(ValueError, match="one shape, got \\[3, 6, 7\\] and \\[3, 9, 9\\]"):
        images(folder)
    run = images(folder, "batch_size: 1")
    assert [batch(run)[0].shape for _ in range(2)] == [(1, 3, 6, 7), (1, 3, 9, 9)]


def test_image_data_errors(folder):
    with pytest.raises(ValueError, match="both new_height and new_width"):
        images(folder, "new_height: 5")
    (folder / "list.txt").write_text("picture 0.png 0\nno label\n")
    with pytest.raises(ValueError, match="list.txt, line 2: a path and a whole number"):
        images(folder)
    (folder / "list.txt").write_text("gone.png 0\n")
    with pytest.raises(ValueError, match="cannot read picture .*gone.png"):
        images(folder)
    (folder / "list.txt").unlink()
    with pytest.raises(ValueError, match="source, the list of pictures"):
        images(folder)


# -- the transformation --


def test_mean_values_and_scale(database):
    transform = "mean_value: 10 mean_value: 20 mean_value: 30 scale: 0.5"
    wanted = (PICTURES[0] - np.array([10.0, 20, 30]).reshape(3, 1, 1)) * 0.5
    np.testing.assert_allclose(batch(data(database, transform=transform))[0][0], wanted)
    wanted = PICTURES[0] - 10.0
    np.testing.assert_allclose(batch(data(database, transform="mean_value: 10"))[0][0], wanted)


def test_mean_file_is_cropped_with_the_picture(database, tmp_path):
    mean = GENERATOR.uniform(0, 255, (1, 3, 6, 7)).astype(np.float32)
    (tmp_path / "mean").write_bytes(array_to_blobproto(mean).SerializeToString())
    transform = f'mean_file: "{tmp_path}/mean" crop_size: 4'
    wanted = (PICTURES[0] - mean[0])[:, 1:5, 1:5]
    np.testing.assert_allclose(batch(data(database, transform=transform))[0][0], wanted, rtol=1e-5)


def test_train_crops_and_mirrors_anywhere_test_in_the_middle(database):
    transform = "crop_size: 5 mirror: true"
    seen = {}
    run = data(database, "batch_size: 5", transform, caffe.TRAIN)
    for _ in range(40):
        picture = batch(run)[0][0]
        for row in range(2):
            for column in range(3):
                window = PICTURES[0][:, row : row + 5, column : column + 5]
                for mirrored in (False, True):
                    if (picture == (window[:, :, ::-1] if mirrored else window)).all():
                        seen[row, column, mirrored] = True
    assert len(seen) > 9  # of twelve ways
    middle = PICTURES[0][:, 0:5, 1:6]
    run = data(database, "batch_size: 5", "crop_size: 5")
    assert all((batch(run)[0][0] == middle).all() for _ in range(3))


@pytest.mark.parametrize(
    "transform, message",
    [
        ("crop_size: 7", "crop_size 7 exceeds a picture's side 6"),
        ("mean_value: 1 mean_value: 2", "for each of 3 channels"),
        ('mean_value: 1 mean_file: "x"', "either mean_file or mean_value"),
        ('mean_file: "gone"', "mean_file: .*gone"),
    ],
)
def test_transform_errors(database, transform, message):
    with pytest.raises(ValueError, match=message):
        data(database, transform=transform)


# -- windows --


def windows(folder, text="", transform="crop_size: 4", lines=None):
    lines = lines or ["1 0.9 1 1 4 4", "2 0.8 0 0 3 3", "1 0.1 2 1 5 4"]
    (folder / "picture 0.png").rename(folder / "cut.png")  # paths end at a blank here, as in Caffe
    head = ["# 0", str(folder / "cut.png"), "3", "6", "7", str(len(lines))]
    (folder / "windows.txt").write_text("\n".join(head + lines))
    return Layers(
        f'type: "WindowData" window_data_param {{ source: "{folder}/windows.txt" '
        f"batch_size: 8 {text} }} "
        f"transform_param {{ {transform} }}",
        tops=2,
    )


def test_windows_background_first_then_a_share_of_foreground(folder):
    pictures, labels = batch(windows(folder))
    assert labels[:6].tolist() == [0] * 6 and set(labels[6:]) <= {1, 2}
    cut = {0: PICTURES[0][:, 1:5, 2:6], 1: PICTURES[0][:, 1:5, 1:5], 2: PICTURES[0][:, 0:4, 0:4]}
    for picture, label in zip(pictures, labels):
        np.testing.assert_array_equal(picture, cut[label])


def test_a_window_with_context_keeps_zeros_outside_of_the_picture(folder):
    """4x4 at the corner with context 1 of 4: it grows to 9x9 around its middle, of which 6 rows and
    7 columns lie within the picture, and these are warped to 3x3."""
    lines = ["1 0.9 0 0 3 3", "1 0 0 0 3 3"]
    picture = batch(windows(folder, "context_pad: 1 fg_fraction: 1", lines=lines))[0][0]
    assert not picture[:, 0].any() and not picture[:, :, 0].any()
    rows = PICTURES[0].reshape(3, 3, 2, 7).mean(2)  # centres of rows at 0.5, 2.5, 4.5
    at = np.array([2 / 3, 3, 16 / 3])  # and of columns
    wanted = np.stack([[np.interp(at, range(7), row) for row in plane] for plane in rows])
    np.testing.assert_allclose(picture[:, 1:, 1:], wanted, atol=0.51)


def test_square_windows_grow_their_shorter_side(folder):
    """4 wide and 2 high becomes (5, as Caffe counts) square around the same middle."""
    lines = ["1 0.9 1 2 4 3", "1 0 1 2 4 3"]
    run = windows(folder, 'crop_mode: "square" fg_fraction: 1', "crop_size: 5", lines)
    np.testing.assert_array_equal(batch(run)[0][0], PICTURES[0][:, 1:6, 1:6])


def test_mirrored_windows(folder):
    run = windows(
        folder, "fg_fraction: 1", "crop_size: 4 mirror: true", ["1 0.9 1 1 4 4", "1 0 0 0 3 3"]
    )
    cut = PICTURES[0][:, 1:5, 1:5]
    found = {(picture == cut).all() for picture in batch(run)[0]}
    assert found == {True, False}
    assert all((p == cut).all() or (p == cut[:, :, ::-1]).all() for p in batch(run)[0])


@pytest.mark.parametrize(
    "text, transform, lines, message",
    [
        ("", "crop_size: 0", None, "crop_size 0 must exceed"),
        ('crop_mode: "round"', "crop_size: 4", None, "warp or square"),
        ("", "crop_size: 4", ["1 0.9 1 1 4 4"], "1 of foreground, 0 of background"),
        ("", "crop_size: 4", ["0 0.9 1 1 4 4"], "class above 0"),
        ("", "crop_size: 4", ["1 0.9 1 1 4"], "no list of windows"),
    ],
)
def test_window_errors(folder, text, transform, lines, message):
    with pytest.raises(ValueError, match=message):
        windows(folder, text, transform, lines)
