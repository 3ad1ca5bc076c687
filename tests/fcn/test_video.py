"""Videos are segmented frame by frame; what cannot be decoded, or ends in the middle, is named."""

import sys

import numpy as np
import pytest

from fcn import cli
from fcn.datasets.sample import sequences

cv2 = pytest.importorskip("cv2")
FRAMES, HALF = 4, 3


@pytest.fixture
def film(tmp_path):
    """A video of JPEG frames, one after the other, so that its first half can be read without the second."""
    path = tmp_path / "my film.avi"
    file = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (240, 180))
    for picture, _ in sequences.panned(np.random.RandomState(3), "infer", FRAMES, 8):
        file.write(picture[:, :, ::-1])
    file.release()
    return path


def run(*words):
    return cli.main(["infer", *map(str, words), "--sample", "--cpu"])


@pytest.mark.parametrize("clock", ["full", "adaptive:0.2"])
def test_a_video_has_an_overlay(film, tmp_path, capsys, clock):
    assert run(film, "--out", tmp_path / "out", "--clock", clock) == 0
    said = capsys.readouterr().out
    assert "1 video\n" in said and f"my film.avi ({FRAMES} frames): background " in said
    made = cv2.VideoCapture(str(tmp_path / "out/my film_overlay.mp4"))
    frames = []
    while (read := made.read())[0]:
        frames.append(read[1])
    assert len(frames) == FRAMES and frames[0].shape == (180, 240, 3)
    assert made.get(cv2.CAP_PROP_FPS) == 10


def test_videos_that_cannot_be_read_are_named_and_the_rest_goes_on(film, tmp_path, capsys):
    content = film.read_bytes()
    (tmp_path / "half.avi").write_bytes(content[: len(content) * 6 // 10])
    (tmp_path / "none.mp4").write_bytes(b"no video")
    names = ["none.mp4", "half.avi", "gone.mov", film.name]
    assert run(*(tmp_path / name for name in names), "--out", tmp_path / "out") == 1
    said, errors = capsys.readouterr()
    assert "none.mp4: no video that OpenCV" in errors and "gone.mov: no such file" in errors
    assert f"half.avi: it ends after {HALF} of {FRAMES} frames" in errors
    assert f"half.avi ({HALF} frames)" in said and f"my film.avi ({FRAMES} frames)" in said


def test_a_schedule_that_is_none(film, tmp_path, capsys):
    assert run(film, "--out", tmp_path / "out", "--clock", "fast") == 2
    assert "no schedule 'fast'; there are full" in capsys.readouterr().err


def test_without_opencv_it_is_said(film, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    assert run(film, "--out", tmp_path / "out") == 1
    assert "pip install opencv-python-headless" in capsys.readouterr().err
