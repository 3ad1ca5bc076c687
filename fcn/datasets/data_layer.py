"""What all segmentation data layers share: one picture and its labels at a time, in published order.

A data set's layer is a subclass with a table of files and a `load_...` method for each top. A
background thread reads the next picture while the net computes; the order is decided before that.
Only pycaffe's public names are used.
"""

import os
import random
from collections.abc import Collection, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io
from PIL import Image

import caffe
from fcn import pictures, places
from fcn.datasets import masks, param_str
from fcn.datasets.dataset import VOID
from fcn.datasets.masks import BadLabel, Fault
from fcn.wording import counted, first_few

load_mat = getattr(caffe.io, "load_mat", scipy.io.loadmat)  # BVLC's pycaffe has none


def reading_ahead(name: str) -> ThreadPoolExecutor:
    """A thread for a layer of that name; one that a forked process goes on with, if `caffe` has it."""
    if hasattr(caffe, "Background"):  # BVLC's has none
        return caffe.Background(name)
    return ThreadPoolExecutor(1, thread_name_prefix=name)


class SegDataLayer(caffe.Layer):
    """Tops: one picture, 1 x C x H x W, and its labels, 1 x 1 x H x W; reshaped for every picture.

    `param_str` is a Python dict literal with the keys in `required`, and optionally those in
    `optional`: seed (default: another order each run), randomize (default True; only splits with
    'train' in their name are ever shuffled) and classes (if one's own tree has another number of
    them). Raises KeyError for a missing key and for any other, ValueError for a value that makes no
    sense, FileNotFoundError for missing files.
    """

    param_str: str
    split: str
    dataset = ""  # data/<dataset>/README.md tells how to get the files
    required: Sequence[str] = ("split",)  # keys of param_str; they become attributes
    optional: Sequence[str] = ("seed", "randomize", "classes")
    classes = 0  # label values are 0 .. classes - 1, or VOID
    tops = {"data": "load_image", "label": "load_label"}  # top -> method, in order
    files: dict[str, str] = {}  # "split" or a top -> path, with {id} and {attribute} to fill in

    @classmethod
    def reader(cls, **params: Any) -> "SegDataLayer":
        """A layer outside of any net, to read pictures with: reader(...).load_image(id)."""
        layer = cls.__new__(cls)
        layer.param_str = repr(params)
        layer.apply_params()
        return layer

    @classmethod
    def params_on_disk(cls, folders: dict[str, str]) -> dict[str, Any]:
        """Keys of param_str that depend on what is in a tree's folders; for subclasses."""
        return {}

    def setup(self, bottom: Sequence[Any], top: Sequence[Any]) -> None:
        """Read param_str and the split; check that all files are there."""
        params = self.apply_params()
        self.check_blobs(bottom, top)
        self.indices = self.read_split()
        self.check_files(self.indices)
        self.random = "train" in self.split and bool(params.get("randomize", True))
        self.seed = params.get("seed")
        self.rng = random.Random(self.seed)
        # Of several workers that train together each takes its own pictures of the one order.
        dealt = getattr(self, "phase", caffe.TEST) == caffe.TRAIN and hasattr(caffe, "solver_rank")
        self.stride, self.place = (caffe.solver_count(), caffe.solver_rank()) if dealt else (1, 0)
        self.drawn_from = self.rng.getstate()  # before the current pictures' positions were drawn
        self.idx = self.dealt() if self.random else self.place % len(self.indices)
        self.background = reading_ahead(type(self).__name__)
        # index -> future of the current picture or of the next
        self.pending: dict[int, Future[list[np.ndarray]]] = {}

    def reshape(self, bottom: Sequence[Any], top: Sequence[Any]) -> None:
        """Wait for the current picture and give the tops its size; raises what reading it raised."""
        if self.idx not in self.pending:  # the first picture, or somebody has set idx
            self.pending = {self.idx: self.background.submit(self.load_all, self.indices[self.idx])}
        self.arrays = self.pending[self.idx].result()
        for blob, array in zip(top, self.arrays):
            blob.reshape(1, *array.shape)

    def forward(self, bottom: Sequence[Any], top: Sequence[Any]) -> None:
        """Copy the current picture to the tops and begin to read the next."""
        for blob, array in zip(top, self.arrays):
            blob.data[...] = array
        self.idx = self.dealt() if self.random else (self.idx + self.stride) % len(self.indices)
        self.pending = {self.idx: self.background.submit(self.load_all, self.indices[self.idx])}

    def backward(
        self, top: Sequence[Any], propagate_down: Sequence[bool], bottom: Sequence[Any]
    ) -> None:
        """Nothing: there is no bottom."""

    def resume_state(self) -> dict[str, Any]:
        """Where the layer is in its order, the same for all workers."""
        return {"random": self.drawn_from, "next": (self.idx - self.place) % len(self.indices)}

    def resume_from(self, state: dict[str, Any]) -> None:
        """Go on there."""
        version, numbers, gauss = state["random"]
        self.rng.setstate((version, tuple(numbers), gauss))
        self.idx = self.dealt() if self.random else (state["next"] + self.place) % len(self.indices)
        self.pending = {}

    def dealt(self) -> int:
        """The next random position that is this worker's: every `stride`-th that is drawn."""
        self.drawn_from = self.rng.getstate()
        return [self.draw() for _ in range(self.stride)][self.place]

    def draw(self) -> int:
        """The next random position, as Python 2's randint drew it. Python 3's draws others."""
        return int(self.rng.random() * len(self.indices))

    # ---- set-up

    def apply_params(self) -> dict[str, Any]:
        """Make attributes of param_str's keys, folders resolved; returns the dict."""
        params = self.parse_params()
        for key in self.required:
            value = params[key]
            setattr(self, key, self.find_folder(value) if key.endswith("_dir") else value)
        count = self.classes = params.get("classes", self.classes)
        if "classes" in params and not (isinstance(count, int) and 0 < count <= VOID):
            text = f"'classes' is {count!r}, and has to be a number from 1 to {VOID}"
            raise self.failure(ValueError, text)
        self.configure(params)
        return params

    def configure(self, params: dict[str, Any]) -> None:
        """For subclasses: check and use the keys of param_str."""

    def require_mean(self, mean: Any) -> None:
        """ValueError for a mean that is not one number or three (BGR)."""
        given = np.asarray(mean)
        if given.shape not in ((), (3,)) or given.dtype.kind not in "if":
            raise self.failure(ValueError, f"mean must be three numbers (BGR), got {mean!r}")

    def parse_params(self) -> dict[str, Any]:
        """param_str as a dict with all required keys and no unknown ones."""
        try:
            params = param_str.parse(self.param_str)
        except ValueError as error:
            raise self.failure(ValueError, str(error)) from None
        missing = [key for key in self.required if key not in params]
        if missing:
            has = ", ".join(map(str, params)) or "nothing"
            raise self.failure(KeyError, f"param_str lacks {', '.join(missing)} (it has {has})")
        if unknown := param_str.unknown_keys(params, [*self.required, *self.optional]):
            raise self.failure(KeyError, unknown)
        return params

    def find_folder(self, path: str) -> Path:
        """A folder relative to the working directory or, without its `..`, to the project."""
        here = Path(path)
        tail = [part for part in here.parts if part != ".."]
        candidates = [here] if here.is_absolute() else [here, places.HOME.joinpath(*tail)]
        for folder in candidates:
            if folder.is_dir():
                return folder.absolute()  # it stays valid when the directory is changed
        paths = dict.fromkeys(os.path.abspath(folder) for folder in candidates)
        raise self.missing(f"no folder {' nor '.join(paths)}")

    def check_blobs(self, bottom: Sequence[Any], top: Sequence[Any]) -> None:
        """ValueError for another number of tops or bottoms than the layer has."""
        if len(top) != len(self.tops):
            names = ", ".join(self.tops)
            raise self.failure(ValueError, f"needs {len(self.tops)} tops ({names}), got {len(top)}")
        if len(bottom):
            raise self.failure(ValueError, f"takes no bottom, got {len(bottom)}")

    def read_split(self) -> list[str]:
        """The ids of the split's list."""
        path = self.path("split")
        if not path.is_file():
            raise self.missing(f"no split {self.split!r}: {path.absolute()} is not there")
        ids = [line.strip() for line in path.read_text().splitlines() if line.strip()]
        if not ids:
            raise self.failure(ValueError, f"split {path} names no picture")
        return ids

    def absent_files(self, ids: Sequence[str]) -> list[Path]:
        """The files of these pictures that are not there."""
        tops = [top for top in self.tops if top in self.files]
        paths = (self.path(top, id) for id in ids for top in tops)
        return [path for path in paths if not path.is_file()]

    def check_files(self, ids: Sequence[str]) -> None:
        """FileNotFoundError that counts the files that are not there, and names the first."""
        absent = self.absent_files(ids)
        if absent:
            count = counted(len(absent), "file")
            verb = "is" if len(absent) == 1 else "are"
            shown = first_few(absent, joint="\n  ")
            split = self.path("split")
            raise self.missing(f"{count} of {split} {verb} not there:\n  {shown}")

    # ---- reading

    def path(self, what: str, id: Any = None) -> Path:
        """The path of the split's list, or of picture `id` for one top."""
        return Path(self.files[what].format(id=id, **vars(self)))

    def load(self, top: str, id: str) -> np.ndarray:
        """The array of one top for one picture, C x H x W."""
        return getattr(self, self.tops[top])(id)

    def load_all(self, id: str) -> list[np.ndarray]:
        """The arrays of all tops for one picture; ValueError if they differ in height or width."""
        arrays = [np.ascontiguousarray(self.load(top, id)) for top in self.tops]
        sizes = {top: array.shape[-2:] for top, array in zip(self.tops, arrays)}
        if len(set(sizes.values())) > 1:
            each = ", ".join(f"{top} {height}x{width}" for top, (height, width) in sizes.items())
            files = {top: self.path(top, id) for top in self.tops if top in self.files}
            why = pictures.why_sizes_differ(sizes, files)
            text = f"{id}: sizes differ (height x width): {each}"
            raise self.failure(ValueError, f"{text}. {why}" if why else text)
        return arrays

    def orientations(self, id: str) -> dict[str, int]:
        """Top -> EXIF orientation, of a picture's files that are stored turned or mirrored."""
        tops = [top for top in self.tops if top in self.files]
        found = {top: pictures.orientation(self.path(top, id)) for top in tops}
        return {top: value for top, value in found.items() if value != 1}

    def open_picture(self, what: str, id: str) -> Image.Image:
        """A picture, decoded and upright, as `pictures.open_picture` gives it."""
        path = self.path(what, id)
        try:
            return pictures.open_picture(path)
        except FileNotFoundError:
            raise self.missing(f"{path.absolute()} is not there") from None
        except pictures.UNREADABLE_ERRORS as error:
            text = f"{path}: not a readable picture: {pictures.reason(error, path)}"
            raise self.failure(ValueError, text) from error

    def load_rgb(self, what: str, id: str) -> np.ndarray:
        """A picture of any kind as H x W x 3 uint8, as `fcn infer` reads it."""
        return pictures.rgb(self.open_picture(what, id))

    def load_bgr(self, what: str, id: str, mean: Any) -> np.ndarray:
        """A picture as 3 x H x W float32, BGR, minus the mean (BGR too)."""
        return pictures.subtract_mean(self.load_rgb(what, id)[:, :, ::-1], mean)

    def load_png_label(self, what: str, id: str) -> np.ndarray:
        """Class indices of a palette (or plain grey) PNG, H x W."""
        image = self.open_picture(what, id)
        if image.mode not in ("P", "L"):
            text = f"label is a {image.mode} picture, not a palette PNG of class indices"
            fault = masks.of_image(image, self.classes) or Fault("mode", f"mode {image.mode}")
            raise self.bad_label(what, id, text, fault)
        return np.asarray(image)

    def load_mat(self, what: str, id: str, key: str) -> np.ndarray:
        """The variable `key` of a .mat file."""
        path = self.path(what, id)
        if not path.is_file():
            raise self.missing(f"{path.absolute()} is not there")
        try:
            content = load_mat(path)
        except Exception as error:  # scipy raises half a dozen unrelated types on a broken file
            why = str(error).removeprefix(f"{path}: not a readable .mat file: ")
            raise self.failure(ValueError, f"{path}: not a readable .mat file: {why}") from error
        if key not in content:
            has = ", ".join(name for name in content if not name.startswith("__"))
            raise self.failure(ValueError, f"{path}: no variable {key!r} (it has {has or 'none'})")
        return content[key]

    # ---- labels

    def checked_label(
        self, values: np.ndarray, what: str, id: str, classes: int | None = None
    ) -> np.ndarray:
        """H x W class indices, checked, as the 1 x H x W uint8 that the loss takes."""
        classes = classes or self.classes
        values = np.asarray(values)
        label = values.astype(np.uint8)
        found = np.flatnonzero(np.bincount(label.ravel(), minlength=256))
        if (label != values).any():  # some did not fit into a byte
            found = np.unique(values)
        self.check_values(found, {*range(classes), VOID}, what, id, values)
        return label[np.newaxis]

    def label_from_one(
        self, values: np.ndarray, what: str, id: str, classes: int | None = None
    ) -> np.ndarray:
        """Labels counted from 1, with 0 for void, as 1 x H x W uint8 counted from 0, with VOID."""
        values = np.asarray(values).astype(np.int64)
        classes = classes or self.classes
        if values.min() < 0 or values.max() > classes:
            self.check_values(np.unique(values), set(range(classes + 1)), what, id)
        return (values - 1).astype(np.uint8)[np.newaxis]  # 0 becomes 255, as in the original

    def check_values(
        self,
        found: np.ndarray,
        allowed: Collection[int],
        what: str,
        id: str,
        values: np.ndarray | None = None,
    ) -> None:
        """BadLabel that names the picture and the values that are not allowed.

        It says why they are there, if `values`, the label itself, show it.
        """
        wrong = [value for value in found.tolist() if value not in allowed]
        if not wrong:
            return
        most = max(set(allowed) - {VOID})
        fault = None if values is None else self.explained(what, id, values, most + 1)
        shown = ", ".join(map(str, wrong[:20])) + (", ..." if len(wrong) > 20 else "")
        text = f"label values {shown} are out of range"
        none = Fault("range", f"0 to {most}, 0 for void, are allowed")
        raise self.bad_label(what, id, text, fault or none)

    def explained(self, what: str, id: str, values: np.ndarray, classes: int) -> Fault | None:
        """What is wrong with a label: the file says more than its values, if it is an image."""
        path = self.path(what, id)
        return masks.explain(path, classes) or masks.of_values(values, classes)

    # ---- errors

    def readme(self) -> str:
        """Where the data set's format and origin are described."""
        return f"see data/{self.dataset}/README.md"

    def failure(self, kind: type[Exception], text: str) -> Exception:
        """An exception whose text begins with the layer's class."""
        return kind(f"{type(self).__name__}: {text}")

    def bad_label(self, what: str, id: str, text: str, fault: Fault) -> BadLabel:
        """The error of a label file that cannot be used, with the reason and the way out."""
        return BadLabel(
            f"{type(self).__name__}: {self.path(what, id)}: {text}", fault, self.readme()
        )

    def missing(self, text: str) -> Exception:
        """A FileNotFoundError that tells how to get the data set."""
        return self.failure(FileNotFoundError, f"{text}\nHow to get it: {self.readme()}")
