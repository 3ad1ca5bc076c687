"""Segments videos frame by frame, by OpenCV's readers: `fcn infer film.mp4`."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from fcn.clockwork import Clockwork, named
from fcn.pictures import Unreadable
from fcn.prototxts import deploy, read_net
from fcn.segmenter import Segmenter

SUFFIXES = {".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm", ".wmv"}
ENDING = "_overlay.mp4"
SHORTER = 0.98  # of the frames that a file promises; what has fewer ends in the middle


def is_video(path: Path) -> bool:
    """Whether a file is called like a video."""
    return path.suffix.lower() in SUFFIXES and not path.name.endswith(ENDING)


def opencv() -> Any:
    """OpenCV; Unreadable, with what to do, where it is not installed."""
    try:
        return importlib.import_module("cv2")
    except ImportError as error:
        raise Unreadable(
            "videos are read by OpenCV: pip install opencv-python-headless, or give pictures"
        ) from error


class Reader:
    """A video's frames, H x W x 3 uint8 RGB: `rate` a second, `promised` in all."""

    def __init__(self, path: Path) -> None:
        """Unreadable for a file that is not there or that OpenCV cannot decode."""
        self.cv2, self.path, self.read = opencv(), path, 0
        if not path.is_file():
            raise Unreadable(f"{path}: no such file")
        self.file = self.cv2.VideoCapture(str(path))
        if not self.file.isOpened():
            raise Unreadable(f"{path}: no video that OpenCV {self.cv2.__version__} can decode")
        self.rate = self.file.get(self.cv2.CAP_PROP_FPS) or 25.0
        self.promised = max(0, int(self.file.get(self.cv2.CAP_PROP_FRAME_COUNT)))

    def __iter__(self) -> Iterator[np.ndarray]:
        """The frames, to the last one that can be decoded."""
        while True:
            there, frame = self.file.read()
            if not there:
                return
            self.read += 1
            yield np.ascontiguousarray(frame[:, :, ::-1])

    def what_is_missing(self) -> str:
        """What is to be said when all is read: that there were no frames, or fewer than promised; "" else."""
        if not self.read:
            return f"{self.path}: not one frame can be decoded"
        if self.read < SHORTER * self.promised:
            return f"{self.path}: it ends after {self.read} of {self.promised} frames"
        return ""


def segment(
    segmenter: Segmenter, path: Path, out: Path, clock: str = "full", only: Any = None
) -> tuple[str, str]:
    """Write a video's overlay, NAME_overlay.mp4; (a line on it, what is missing of it or "").

    `clock` is the schedule of FCN-8s's stages, `only` the classes that are shown. Unreadable for a file that
    cannot be decoded, OSError where nothing can be written, ValueError for a schedule of another net.
    """
    reader = Reader(path)
    whole, written = segmenter.net, None
    if clock != "full":
        about = segmenter.about
        net = deploy(read_net(about.prototxt))
        segmenter.net = Clockwork(net, about.weights, named(clock))  # type: ignore[assignment]
    target = out / f"{path.stem}{ENDING}"
    counts = np.zeros(len(segmenter.names), np.int64)
    bar = tqdm(reader, path.name, reader.promised or None, unit="frame", leave=False, disable=None)
    try:
        for frame in bar:
            result = segmenter(frame)
            counts += np.bincount(result.classes.ravel(), minlength=len(counts))[: len(counts)]
            shown = np.asarray(result.draw(only))
            if written is None:
                written = writer(reader, target, shown.shape[:2])
            written.write(shown[:, :, ::-1])
    finally:
        bar.close()
        segmenter.net = whole
        if written is not None:
            written.release()
    return summary(segmenter, reader, counts, target), reader.what_is_missing()


def writer(reader: Reader, path: Path, size: tuple[int, int]) -> Any:
    """What writes frames of a size; OSError if it cannot."""
    code = reader.cv2.VideoWriter_fourcc(*"mp4v")
    made = reader.cv2.VideoWriter(str(path), code, reader.rate, size[::-1])
    if not made.isOpened():
        raise OSError(None, "OpenCV cannot write it", str(path))
    return made


def summary(segmenter: Segmenter, reader: Reader, counts: np.ndarray, target: Path) -> str:
    """One line: the video, its frames, and its classes with their shares, the largest first."""
    total = max(int(counts.sum()), 1)
    order = [k for k in np.argsort(-counts, kind="stable") if counts[k]]
    shares = ", ".join(f"{segmenter.names[k]} {100 * counts[k] / total:.1f}%" for k in order)
    frames = f"{reader.read} frame{'s' * (reader.read != 1)}"
    return f"{reader.path} ({frames}): {shares or 'nothing'}; wrote {target}"


def segment_all(
    segmenter: Segmenter, paths: list[Path], out: Path, clock: str, only: Any = None
) -> bool:
    """Segment videos and say what came of each; whether all went well. One that fails stops no other."""
    well = True
    for path in paths:
        try:
            said, missing = segment(segmenter, path, out, clock, only)
            tqdm.write(said, sys.stdout)
        except Unreadable as error:
            missing = str(error)
        except OSError as error:
            missing = f"{path}: {error.filename} cannot be written: {error.strerror}"
        if missing:
            tqdm.write(missing, sys.stderr)
            well = False
    return well
