"""Segments pictures: `Segmenter("voc-fcn8s")("photo.jpg")` is a Segmentation. `fcn infer` is built on it."""

import contextlib
import logging
import pickle
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, overload

import numpy as np
from PIL import Image
from tqdm import tqdm

from fcn import any_net, devices
from fcn.crf import Parameters, refined
from fcn.equal_scores import require_different
from fcn.finite_scores import require_finite
from fcn.inputs import PREPARE, is_path, name_of, read_inputs
from fcn.pictures import Unreadable
from fcn.predictions import predicted
from fcn.segmentation import Answer, Segmentation

MAX_PIXELS = 1_000_000  # FCN-8s needs 2.2 kB a pixel
# Pixels of all pictures that go through a net at once. On a CPU the embedded task's FCN-8s takes a
# quarter less time for four pictures of 240x180, and a tenth more for four of 500x375, whose maps
# leave the cache.
AT_ONCE = {"cpu": 200_000, "gpu": MAX_PIXELS}
MOST_AT_ONCE = 8


@dataclass(frozen=True)
class Scene:
    """A picture as it was read, with the depth or HHA that belongs to it."""

    label: str
    pictures: dict[str, np.ndarray]  # by input blob
    notes: tuple[str, ...]  # what is to be said of them
    number: int = 0  # its place in what was given

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        height, width = next(iter(self.pictures.values())).shape[:2]
        return height, width


class Segmenter:
    """A net that segments pictures; computes where Caffe's mode says (`caffe.set_mode_gpu()`).

    `net` is the caffe.Net, and `names` the class names of its first scores.
    """

    def __init__(
        self,
        model: str | Path = "voc-fcn8s",
        *,
        weights: str | Path | None = None,
        names: any_net.Names | None = None,
        mean: any_net.Mean | None = None,
        sample: bool = False,
        max_pixels: int = MAX_PIXELS,
        any_weights: bool = False,
        crf: Parameters | None = None,
    ) -> None:
        """A model folder, the project's or one's own, or a prototxt with `weights`.

        `names` are the classes', a list or a file with one a line, `mean` is that of the pictures in
        training, BGR; both are found where the net's folder has them, see fcn/any_net.py. `sample` asks
        for the model's form of the embedded task. Larger pictures than `max_pixels` are segmented at a
        smaller scale. A file of a published name with another sha1 is refused unless `any_weights`. A
        dense CRF of the parameters `crf` refines the scores, which are then probabilities.
        """
        if max_pixels < 1:
            raise ValueError(f"max_pixels is {max_pixels}, but a picture has 1 pixel or more")
        self.max_pixels, self.crf = max_pixels, crf
        self.about = any_net.find(model, weights, names, mean, sample, any_weights)
        with warnings_only():
            self.net = self.about.load()
        # in the order in which the net makes them: SIFT Flow's score_sem first
        outputs = [blob for blob in self.net.blobs if blob in self.net.outputs]
        self.score_names = {blob: self._names(blob) for blob in outputs}
        self.names = next(iter(self.score_names.values()))

    def __getstate__(self) -> dict[str, Any]:
        """What pickle and copy keep: the net in a form that is built again without a word."""
        return self.__dict__ | {"net": pickle.dumps(self.net)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Build the net again, quietly."""
        self.__dict__ |= state
        with warnings_only():
            self.net = pickle.loads(state["net"])

    def _names(self, blob: str) -> tuple[str, ...]:
        """The class names of a score blob; ValueError if it is none."""
        shape = tuple(self.net.blobs[blob].shape)
        if len(shape) != 4 or shape[1] < 2:
            what = "1 x classes x H x W, of two classes or more"
            raise ValueError(f"{self.about.prototxt}: {blob} has shape {shape}; scores are {what}")
        return self.about.names_of(blob, shape[1])

    def __repr__(self) -> str:
        """Model, number of classes, weights."""
        about = self.about
        return f"<Segmenter {about.model}: {len(self.names)} classes, {about.weights}>"

    @overload
    def __call__(self, image: list[Any] | tuple[Any, ...], **more: Any) -> list[Segmentation]: ...
    @overload
    def __call__(self, image: Any, **more: Any) -> Segmentation: ...

    def __call__(self, image, *, depth=None, hha=None, scores=False, batch=None):
        """Segment a picture: a path, a Pillow picture, an array or a tensor; of a list of them, each.

        An array is H x W (grey) or H x W x 3 (RGB) or 4 (RGBA), of integers or of floats of 0 to 1 or
        0 to 255. `depth` and `hha` are for models that read them beside the colours, lists for a list.
        `scores` keeps each pixel's scores; without, they are computed when they are asked for. Of a
        list, `batch` pictures of one size go through the net at once, if it is given.

        Raises Unreadable for what is no picture, NotFinite and AllEqual for scores that say nothing;
        all are ValueErrors.
        """
        if not isinstance(image, list | tuple):
            return self.segment([self.read(image, depth=depth, hha=hha)], scores)[0]
        if any(isinstance(each, list | tuple | int | float) for each in image):
            raise Unreadable("a list of numbers is no list of pictures: give np.array of it")
        kinds = self.more_kinds(len(image), depth=depth, hha=hha)
        sources = zip(image, *kinds.values())
        scenes = (
            self._read_one(number, source, dict(zip(kinds, more)))
            for number, (source, *more) in enumerate(sources, start=1)
        )
        bar = tqdm(total=len(image), unit="picture", leave=False, disable=None)
        with bar:
            results = []
            for group in self.batches(scenes, batch):
                results += self.segment(group, scores)
                bar.update(len(group))
        return results

    @property
    def kind(self) -> str:
        """What the net reads: "color", "depth" or "hha"; ValueError if it reads more than one."""
        kinds = list(self.about.kinds.values())
        if len(kinds) != 1:
            raise ValueError(
                f"{self.about.model} reads {' and '.join(kinds)}, and only models that read one "
                "picture are taken here; fcn infer takes this one"
            )
        return kinds[0]

    # ---- reading

    def more_kinds(self, count: int, **given: Sequence[Any] | None) -> dict[str, Sequence[Any]]:
        """What the net reads beside its first picture: kind -> one of it for each of `count` pictures.

        ValueError if `given` has not what the net reads.
        """
        first, *more = self.about.kinds.values()
        model = self.about.model
        for kind, sources in given.items():
            there = 0 if sources is None else len(sources)
            if kind in more and there != count:
                plural = "s" * (count != 1)
                raise ValueError(
                    f"{model} reads {first} and {kind}: --{kind} ({kind}=) wants one for each of the "
                    f"{count} picture{plural}, got {there}"
                )
            if sources is not None and kind not in more:
                raise ValueError(f"{model} reads {' and '.join([first, *more])}, so not --{kind}")
        return {kind: sources for kind in more if (sources := given.get(kind)) is not None}

    def read(self, image: Any, **more: Any) -> Scene:
        """Read a picture, and the depth or HHA that the net wants beside it; raises Unreadable."""
        given = {kind: None if source is None else [source] for kind, source in more.items()}
        others = [sources[0] for sources in self.more_kinds(1, **given).values()]
        sources = [Path(s).expanduser() if is_path(s) else s for s in (image, *others)]
        notes: list[str] = []
        pictures = read_inputs(sources, self.about.kinds, notes)
        height, width = next(iter(pictures.values())).shape[:2]
        if height * width > self.max_pixels:
            notes.append(f"over {self.max_pixels} pixels, so segmented at a smaller scale")
        return Scene(name_of(image), pictures, tuple(notes))

    def _read_one(self, number: int, image: Any, more: Mapping[str, Any]) -> Scene:
        """`read` of a list's picture, whose number a message names if it is no file."""
        try:
            scene = self.read(image, **more)
        except Unreadable as error:
            raise error if is_path(image) else Unreadable(f"picture {number}: {error}") from None
        return scene if is_path(image) else replace(scene, label=f"picture {number}")

    # ---- segmenting

    def batches(self, scenes: Iterable[Scene], most: int | None = None) -> Iterator[list[Scene]]:
        """Neighbours of one size, as many as go through the net at once; at most `most`, if given."""
        group: list[Scene] = []
        for scene in scenes:
            if group and scene.size != group[0].size:
                yield group
                group = []
            group.append(scene)
            if len(group) == self.room(scene, most):
                yield group
                group = []
        if group:
            yield group

    def room(self, scene: Scene, most: int | None = None) -> int:
        """How many pictures of a scene's size go through the net at once; `most`, if it is given."""
        rows, columns = self.scaled(scene.size)
        return most or min(MOST_AT_ONCE, max(1, AT_ONCE[devices.in_use()] // (rows * columns)))

    def scaled(self, size: tuple[int, int]) -> tuple[int, int]:
        """The height and width at which a picture of `size` is segmented."""
        return scaled(size, self.max_pixels)

    def segment(self, scenes: Sequence[Scene], scores: bool = False) -> list[Segmentation]:
        """Segment scenes of one size in one pass; errors as in a call."""
        size = self.scaled(scenes[0].size)
        pictures = [scene.pictures for scene in scenes]
        forward(self.net, pictures, self.about.kinds, self.about.mean, size)
        for blob in self.score_names:
            self._require_map(blob, size)
            require_finite(self.net, blob)
        return [self._segmentation(scene, item, scores) for item, scene in enumerate(scenes)]

    def _require_map(self, blob: str, size: tuple[int, int]) -> None:
        """ValueError unless scores have the picture's size."""
        found = tuple(self.net.blobs[blob].shape[2:])
        if found != size:
            raise ValueError(
                f"{self.about.prototxt}: {blob} is {found[0]}x{found[1]} for a picture of "
                f"{size[0]}x{size[1]}: scores are wanted for every pixel. Way out: a Deconvolution and "
                "a Crop at the end, as in voc-fcn32s"
            )

    def _segmentation(self, scene: Scene, item: int, keep: bool) -> Segmentation:
        """What the last pass says of its picture number `item`."""
        answers = []
        for blob, names in self.score_names.items():
            classes, kept = predicted(self.net.blobs[blob], item), None
            require_different(self.net, blob, classes, item)
            if keep or self.crf:
                kept = self._item(blob, item)
                classes = kept.argmax(0) if self.crf else classes
            seg = enlarged(classes.astype(np.uint8, copy=False), scene.size)
            probable = self.crf is not None or self._is_probable(blob)
            answer = Answer(blob, self.ending(blob), seg, names, kept if keep else None, probable)
            answers.append(answer)
        image = next(iter(scene.pictures.values()))
        return Segmentation(scene.label, image, answers, scene.notes, lambda: self._again(scene))

    def _again(self, scene: Scene) -> dict[str, np.ndarray]:
        """Each blob's scores of a scene, C x H x W."""
        size = self.scaled(scene.size)
        forward(self.net, [scene.pictures], self.about.kinds, self.about.mean, size)
        return {blob: self._item(blob, 0) for blob in self.score_names}

    def _item(self, blob: str, item: int) -> np.ndarray:
        """The scores of a picture of the last pass, or what a CRF makes of them."""
        if self.crf:
            return refined(self.net, blob, self.crf, item)
        return np.array(self.net.blobs[blob].data[item])

    def _is_probable(self, blob: str) -> bool:
        """Whether a blob holds probabilities."""
        made = [name for name, tops in self.net.top_names.items() if blob in tops]
        return self.net.layer_dict[made[-1]].type == "Softmax"

    def ending(self, blob: str) -> str:
        """What the names of a blob's files end with: "" if it is the only one; `_geo` of score_geo."""
        name = blob.removeprefix("score").lstrip("_")
        return f"_{name}" if name and len(self.score_names) > 1 else ""


@contextlib.contextmanager
def warnings_only() -> Iterator[None]:
    """While entered, Caffe's log does not say how nets are built."""
    log = logging.getLogger("caffe")
    level = log.level
    log.setLevel(max(level, logging.WARNING))
    try:
        yield
    finally:
        log.setLevel(level)


# ---- passes


def scaled(size: tuple[int, int], max_pixels: int) -> tuple[int, int]:
    """Height and width of a picture that is made smaller if it has over `max_pixels`."""
    height, width = size
    scale = min(1, (max_pixels / (height * width)) ** 0.5)
    return max(1, round(height * scale)), max(1, round(width * scale))


def enlarged(classes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Classes at another height and width, those of the nearest pixel."""
    if classes.shape == size:
        return classes
    return np.asarray(Image.fromarray(classes).resize(size[::-1], Image.Resampling.NEAREST))


def forward(
    net: Any,
    scenes: Sequence[Mapping[str, np.ndarray]],
    kinds: Mapping[str, str],
    mean: Sequence[float],
    size: tuple[int, int],
) -> None:
    """Run a net on pictures of one size, each by input blob as `kinds` are, at height and width `size`."""
    for blob, kind in kinds.items():
        for item, pictures in enumerate(scenes):
            picture = pictures[blob]
            if picture.shape[:2] != size:
                # Between two depths that are there, interpolation would give one that is not.
                method = Image.Resampling.NEAREST if kind == "depth" else None
                picture = np.asarray(Image.fromarray(picture).resize(size[::-1], method))
            data = PREPARE[kind](picture, mean)
            if item == 0:
                net.blobs[blob].reshape(len(scenes), *data.shape)
            net.blobs[blob].data[item] = data
    net.forward()
