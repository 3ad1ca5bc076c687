"""SegDataLayer: what all segmentation data layers share. A picture and its label at a time.

A data set is a subclass with a table of files and a `load_...` method a top. The next picture is
read by a background thread while the net computes; the order is fixed before, so it never changes.
Knows only pycaffe's public names.
"""

import ast
import os
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import scipy.io
from PIL import Image

import caffe

from ..places import WORK
from .record import VOID


class SegDataLayer(caffe.Layer):
    """Tops: one picture, 1 x C x H x W, and its labels, 1 x 1 x H x W; reshaped every time.

    `param_str` is a Python dict literal: the keys in `required`, and seed (none: another order each
    run), randomize (True; only splits with 'train' in their name are ever shuffled), classes (when
    one's own tree has another number of them). KeyError for a key that is not there, ValueError
    for one that makes no sense, FileNotFoundError for what is missing on disk.
    """

    split: str
    dataset = ""  # data/<dataset>/README.md tells how to get the files
    required: tuple[str, ...] = ("split",)  # keys of param_str; they become attributes
    classes = 0  # label values are 0 .. classes - 1, or VOID
    tops: dict[str, str] = {"data": "load_image", "label": "load_label"}  # top -> method, in order
    files: dict[
        str, str
    ] = {}  # "split" and each top -> path; {id} and the attributes are filled in

    @classmethod
    def reader(cls, **params):
        """A layer outside of any net, to read pictures with: reader(...).load_image(id)."""
        layer = cls.__new__(cls)
        layer.param_str = repr(params)
        layer.take_params()
        return layer

    def setup(self, bottom, top):
        params = self.take_params()
        self.check_blobs(bottom, top)
        self.indices = self.read_split()
        self.check_files(self.indices)
        self.random = "train" in self.split and bool(params.get("randomize", True))
        self.seed = params.get("seed")
        self.rng = random.Random(self.seed)
        self.idx = self.draw() if self.random else 0
        self.background = ThreadPoolExecutor(1, thread_name_prefix=type(self).__name__)
        self.pending = {}  # index -> future: at most the current picture or the next

    def reshape(self, bottom, top):
        if self.idx not in self.pending:  # the first picture, or somebody has set idx
            self.pending = {self.idx: self.background.submit(self.load_all, self.indices[self.idx])}
        self.arrays = self.pending[self.idx].result()  # what failed in the thread is raised here
        for blob, array in zip(top, self.arrays):
            blob.reshape(1, *array.shape)

    def forward(self, bottom, top):
        for blob, array in zip(top, self.arrays):
            blob.data[...] = array
        self.idx = self.draw() if self.random else (self.idx + 1) % len(self.indices)
        self.pending = {self.idx: self.background.submit(self.load_all, self.indices[self.idx])}

    def backward(self, top, propagate_down, bottom):
        pass

    def draw(self):
        """The next random position, as Python 2's randint drew it (Python 3's does not)."""
        return int(self.rng.random() * len(self.indices))

    # Set-up, step by step

    def take_params(self):
        params = self.parse()
        for key in self.required:
            value = params[key]
            setattr(self, key, self.find_dir(value) if key.endswith("_dir") else value)
        self.classes = params.get("classes", self.classes)
        self.configure(params)
        return params

    def configure(self, params):
        """For subclasses: whatever param_str asks for beyond the required keys."""

    def parse(self):
        try:
            params = ast.literal_eval(self.param_str or "None")
        except (ValueError, SyntaxError) as error:
            raise self.fail(ValueError, f"param_str is not a Python literal: {error}") from None
        if not isinstance(params, dict):
            raise self.fail(ValueError, f"param_str must be a dict, got {self.param_str!r}")
        missing = [key for key in self.required if key not in params]
        if missing:
            has = ", ".join(map(str, params)) or "nothing"
            raise self.fail(KeyError, f"param_str lacks {', '.join(missing)} (it has {has})")
        return params

    def find_dir(self, path):
        """A folder as given (from the working directory), else from the model folders' level."""
        here = Path(path)
        tail = [part for part in here.parts if part != ".."]
        looked = [here] if here.is_absolute() else [here, WORK.joinpath(*tail)]
        for folder in looked:
            if folder.is_dir():
                return folder.absolute()  # whoever changes directory later
        paths = dict.fromkeys(os.path.abspath(folder) for folder in looked)
        raise self.missing(f"no folder {' nor '.join(paths)}")

    def check_blobs(self, bottom, top):
        if len(top) != len(self.tops):
            names = ", ".join(self.tops)
            raise self.fail(ValueError, f"needs {len(self.tops)} tops ({names}), got {len(top)}")
        if len(bottom):
            raise self.fail(ValueError, f"takes no bottom, got {len(bottom)}")

    def read_split(self):
        """The ids of the split, one a line."""
        path = self.path("split")
        if not path.is_file():
            raise self.missing(f"no split {self.split!r}: {path.absolute()} is not there")
        ids = [line.strip() for line in path.read_text().splitlines() if line.strip()]
        if not ids:
            raise self.fail(ValueError, f"split {path} names no picture")
        return ids

    def absent(self, ids):
        """The files that these pictures should have and do not."""
        wanted = [top for top in self.tops if top in self.files]
        paths = (self.path(top, id) for id in ids for top in wanted)
        return [path for path in paths if not path.is_file()]

    def check_files(self, ids):
        absent = self.absent(ids)
        if absent:
            shown = "".join(f"\n  {path}" for path in absent)
            raise self.missing(f"{len(absent)} files of {self.path('split')} are not there:{shown}")

    # Reading

    def path(self, what, id=None):
        """Where the split list, or the picture `id` for one top, lies."""
        return Path(self.files[what].format(id=id, **vars(self)))

    def load(self, top, id):
        """The array of one top for one picture, C x H x W."""
        return getattr(self, self.tops[top])(id)

    def load_all(self, id):
        arrays = [np.ascontiguousarray(self.load(top, id)) for top in self.tops]
        sizes = {array.shape[-2:] for array in arrays}
        if len(sizes) > 1:
            each = ", ".join(
                f"{top} {a.shape[-2]}x{a.shape[-1]}" for top, a in zip(self.tops, arrays)
            )
            raise self.fail(ValueError, f"{id}: sizes differ (height x width): {each}")
        return arrays

    def pixels(self, what, id):
        """A picture as H x W x 3 uint8, channels as stored."""
        with self.opened(what, id) as image:
            return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))

    def bgr(self, what, id, mean):
        """A picture as 3 x H x W float32, BGR, minus the mean (BGR too)."""
        return centred(self.pixels(what, id)[:, :, ::-1], mean)

    def png_label(self, what, id):
        """Class indices of a palette (or plain grey) PNG, H x W."""
        with self.opened(what, id) as image:
            if image.mode not in ("P", "L"):
                raise self.fail(
                    ValueError,
                    f"{self.path(what, id)}: label is a {image.mode} picture, not a palette PNG "
                    f"whose values are class indices ({self.readme()})",
                )
            return np.asarray(image)

    def mat(self, what, id, key):
        """The variable `key` of a .mat file."""
        path = self.path(what, id)
        if not path.is_file():
            raise self.missing(f"{path.absolute()} is not there")
        try:
            content = scipy.io.loadmat(path)
        except Exception as error:  # scipy raises half a dozen unrelated types on a broken file
            raise self.fail(ValueError, f"{path}: not a readable .mat file: {error}") from error
        if key not in content:
            has = ", ".join(name for name in content if not name.startswith("__"))
            raise self.fail(ValueError, f"{path}: no variable {key!r} (it has {has or 'none'})")
        return content[key]

    def as_label(self, values, what, id, classes=None):
        """H x W class indices, checked, as the 1 x H x W uint8 that the loss takes."""
        classes = classes or self.classes
        values = np.asarray(values)
        label = values.astype(np.uint8)
        found = np.flatnonzero(np.bincount(label.ravel(), minlength=256))
        if (label != values).any():  # did not fit into a byte
            found = np.unique(values)
        self.check_values(found, {*range(classes), VOID}, what, id)
        return label[np.newaxis]

    def rotated_label(self, values, what, id, classes=None):
        """Labels counted from 1 with 0 for void, as classes from 0 with VOID."""
        values = np.asarray(values).astype(np.int64)
        classes = classes or self.classes
        if values.min() < 0 or values.max() > classes:
            self.check_values(np.unique(values), set(range(classes + 1)), what, id)
        # 0 - 1 is 255 in a byte, as it was there
        return (values - 1).astype(np.uint8)[np.newaxis]

    def check_values(self, found, allowed, what, id):
        """ValueError that names the picture and every value that is not allowed."""
        wrong = [value for value in found.tolist() if value not in allowed]
        if wrong:
            shown = ", ".join(map(str, wrong[:20])) + (", ..." if len(wrong) > 20 else "")
            most = max(allowed - {VOID})
            raise self.fail(
                ValueError,
                f"{self.path(what, id)}: label values {shown} are out of range: "
                f"0 to {most}{f' and {VOID} for void' if VOID in allowed else ', 0 for void'} "
                f"are what there may be ({self.readme()})",
            )

    def opened(self, what, id):
        path = self.path(what, id)
        try:
            with open(path, "rb") as file:
                image = Image.open(file)
                image.load()
        except FileNotFoundError:
            raise self.missing(f"{path.absolute()} is not there") from None
        except (OSError, SyntaxError, ValueError) as error:  # what Pillow raises on broken files
            raise self.fail(ValueError, f"{path}: not a readable picture: {error}") from error
        return image

    # Errors

    def readme(self):
        return f"see data/{self.dataset}/README.md"

    def fail(self, kind, text):
        return kind(f"{type(self).__name__}: {text}")

    def missing(self, text):
        return self.fail(FileNotFoundError, f"{text}\nHow to get it: {self.readme()}")


def centred(pixels, mean):
    """H x W x C pixels minus the mean, C x H x W float32; subtracted in double, as there."""
    planes = np.empty((pixels.shape[2], *pixels.shape[:2]), np.float32)
    means = np.broadcast_to(np.asarray(mean, np.float64), pixels.shape[2:])
    for plane, stored, value in zip(planes, pixels.transpose(2, 0, 1), means):
        np.subtract(stored, value, out=plane, dtype=np.float64, casting="same_kind")
    return planes
