"""Classifier, Detector, their commands; Timer."""

import csv
import time

import h5py
import numpy as np
import pytest
from PIL import Image

import caffe
from caffe.__main__ import main

NET = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 4 dim: 3 dim: 6 dim: 6 } } }
layer { name: "prob" type: "Convolution" bottom: "data" top: "prob"
  convolution_param { num_output: 108 kernel_size: 6 } }
layer { name: "flat" type: "Flatten" bottom: "prob" top: "flat" }
"""


@pytest.fixture
def files(tmp_path):
    """A net that puts out its input, value by value."""
    net, weights = str(tmp_path / "net.prototxt"), str(tmp_path / "net.caffemodel")
    with open(net, "w") as file:
        file.write(NET)
    made = caffe.Net(net, caffe.TEST)
    made.params["prob"][0].data[...] = np.eye(108).reshape(108, 3, 6, 6)
    made.save(weights)
    return net, weights


def pictures(*shape):
    return np.random.default_rng(0).random(shape, np.float32)


# ---- Classifier


def test_centre_crop_and_preprocessing(files):
    mean = np.array([10.0, 20.0, 30.0])
    classifier = caffe.Classifier(
        *files,
        image_dims=(8, 10),
        mean=mean,
        input_scale=0.5,
        raw_scale=255,
        channel_swap=(2, 1, 0),
    )
    assert tuple(classifier.crop_dims) == (6, 6)
    assert classifier.phase == caffe.TEST
    images = pictures(5, 8, 10, 3)  # one more than a batch
    found = classifier.predict(images, oversample=False)
    crops = images[:, 1:7, 2:8, ::-1].transpose(0, 3, 1, 2)
    want = (crops * 255 - mean[:, None, None]) * 0.5
    np.testing.assert_allclose(found.reshape(5, 3, 6, 6), want, rtol=1e-4, atol=1e-3)


def test_ten_crops_are_averaged(files):
    classifier = caffe.Classifier(*files, image_dims=[8, 10])
    images = list(pictures(2, 8, 10, 3))
    found = classifier.predict(images)
    assert found.shape == (2, 108)
    for picture, mean in zip(images, found):
        crops = [picture[y : y + 6, x : x + 6] for y, x in ((0, 0), (0, 4), (2, 0), (2, 4), (1, 2))]
        want = np.mean(crops + [crop[:, ::-1] for crop in crops], axis=0).transpose(2, 0, 1)
        np.testing.assert_allclose(mean.reshape(3, 6, 6), want, atol=1e-5)


def test_pictures_are_resized_to_the_net_without_image_dims(files):
    classifier = caffe.Classifier(*files)
    image = pictures(9, 13, 3)
    found = classifier.predict([image], oversample=False).reshape(3, 6, 6)
    want = caffe.io.resize_image(image, (6, 6)).transpose(2, 0, 1)
    np.testing.assert_allclose(found, want, atol=1e-5)


def test_classifier_s_mistakes(files):
    with pytest.raises(RuntimeError, match="Could not open file nowhere"):
        caffe.Classifier(files[0], "nowhere")
    with pytest.raises(ValueError, match="at least one picture"):
        caffe.Classifier(*files).predict([])


def test_classify_command(files, tmp_path, capfd):
    folder = tmp_path / "pictures"
    folder.mkdir()
    pixels = np.random.default_rng(1).integers(0, 256, (2, 6, 6, 3), np.uint8)
    for i, picture in enumerate(pixels):
        Image.fromarray(picture).save(folder / f"{i}.png")
    np.save(tmp_path / "mean.npy", np.full((3, 6, 6), 5.0))
    net = ["--model_def", files[0], "--pretrained_model", files[1]]
    net += ["--images_dim", "6,6", "--center_only", "--mean_file", str(tmp_path / "mean.npy")]
    out = str(tmp_path / "out.npy")
    assert main(["classify", str(folder), out, "--ext", "png", *net]) == 0
    said = capfd.readouterr().out
    assert "Classifying 2 inputs." in said
    assert f"Saving results into {out}" in said
    want = pixels[..., ::-1].transpose(0, 3, 1, 2) - 5.0
    np.testing.assert_allclose(np.load(out).reshape(2, 3, 6, 6), want, atol=1e-2)
    assert main(["classify", str(folder / "1.png"), out, *net]) == 0
    np.testing.assert_allclose(np.load(out).reshape(1, 3, 6, 6), want[1:], atol=1e-2)
    assert main(["classify", str(folder), out, *net]) == 1
    assert "no pictures *.jpg in this folder" in capfd.readouterr().err


# ---- Detector


@pytest.fixture
def photograph(tmp_path):
    pixels = np.random.default_rng(2).integers(0, 256, (20, 30, 3), np.uint8)
    path = str(tmp_path / "photograph.png")
    Image.fromarray(pixels).save(path)
    return path, pixels / 255


def test_windows_are_warped(files, photograph):
    path, pixels = photograph
    detector = caffe.Detector(*files, raw_scale=255, channel_swap=(2, 1, 0))
    windows = np.array([[0, 0, 6, 6], [2, 3, 14, 30], [5, 5, 11, 11]])
    found = detector.detect_windows([(path, windows[:2]), (path, windows[2:])])
    assert [row["filename"] for row in found] == [path] * 3
    for row, window in zip(found, windows):
        assert list(row["window"]) == list(window)
        y0, x0, y1, x1 = window
        crop = caffe.io.resize_image(pixels[y0:y1, x0:x1], (6, 6))
        want = 255 * crop[..., ::-1].transpose(2, 0, 1)
        np.testing.assert_allclose(row["prediction"].reshape(3, 6, 6), want, atol=0.05)
    with pytest.raises(ValueError, match=r"window \[25, 0, 28, 3\].* of 20 x 30 pixels"):
        detector.detect_windows([(path, [[25, 0, 28, 3]])])
    assert detector.detect_windows([]) == []


def test_context_and_mean_around_a_window(files, photograph):
    """Pad 1 of 6: the crop is 6 / 4 of the window, and what leaves the picture is the mean."""
    path, pixels = photograph
    mean = np.array([0.25, 0.5, 0.75])
    options = {"mean": 255 * mean, "raw_scale": 255, "channel_swap": (2, 1, 0)}
    detector = caffe.Detector(*files, **options, context_pad=1)
    np.testing.assert_allclose(detector.crop_mean.ravel(), mean[::-1], rtol=1e-6)
    inside = detector.crop(pixels, np.array([8, 10, 11, 13]))
    # a window of 3 counts as 4, its surroundings as 6 and one more: rows 7 to 13, without the last
    np.testing.assert_allclose(inside, caffe.io.resize_image(pixels[7:13, 9:15], (6, 6)), atol=1e-6)
    corner = detector.crop(pixels, np.array([0, 10, 4, 14]))
    box = np.round(2.5 + 1.5 * np.array([-2.5, 2.5]))  # rows of the surroundings
    above = int(np.round(-box[0] * 6 / (box[1] - box[0] + 1)))
    assert above == 1
    np.testing.assert_allclose(corner[:above], np.broadcast_to(mean[::-1], (1, 6, 3)), rtol=1e-6)
    assert not np.isclose(corner[above:], mean[::-1]).all()
    with pytest.raises(ValueError, match="context_pad 3 must leave some of the input's 6"):
        detector.configure_crop(3)


def test_detect_command(files, photograph, tmp_path, capfd):
    path, pixels = photograph
    listing = tmp_path / "windows.csv"
    listing.write_text(f"filename,xmin,ymin,xmax,ymax\n{path},1,2,7,8\n{path},0,0,6,6\n")
    net = ["--model_def", files[0], "--pretrained_model", files[1], "--context_pad", "0"]
    net += ["--crop_mode", "list"]
    assert main(["detect", str(listing), str(tmp_path / "out.csv"), *net]) == 0
    assert "Processed 2 windows in" in capfd.readouterr().out
    with open(tmp_path / "out.csv") as file:
        rows = list(csv.DictReader(file))
    assert [row["ymin"] for row in rows] == ["2", "0"]
    first = np.array([float(rows[0][f"class{i}"]) for i in range(108)]).reshape(3, 6, 6)
    want = 255 * pixels[2:8, 1:7, ::-1].transpose(2, 0, 1)
    np.testing.assert_allclose(first, want, atol=0.05)
    assert main(["detect", str(listing), str(tmp_path / "out.h5"), *net]) == 0
    with h5py.File(tmp_path / "out.h5") as file:
        assert file["window"][1].tolist() == [0, 0, 6, 6]
        np.testing.assert_allclose(file["prediction"][0].reshape(3, 6, 6), want, atol=0.05)
    capfd.readouterr()
    (tmp_path / "names.txt").write_text(path + "\n")
    selective = [*net[:-2], "--crop_mode", "selective_search"]
    assert main(["detect", str(tmp_path / "names.txt"), "x.csv", *selective]) == 1
    assert "selective_search_ijcv_with_python" in capfd.readouterr().err
    listing.write_text("filename,xmin\n")
    assert main(["detect", str(listing), "x.csv", *net]) == 1
    assert "no column ymin; it has filename, xmin" in capfd.readouterr().err


# ---- Timer


def test_timer():
    timer = caffe.Timer()
    assert timer.ms == 0
    timer.start()
    time.sleep(0.02)
    timer.stop()
    time.sleep(0.02)
    first = timer.ms
    assert 20 <= first < 1000
    assert timer.ms == first
    assert timer.seconds == pytest.approx(first / 1000)
    timer.start()
    assert timer.ms < first
