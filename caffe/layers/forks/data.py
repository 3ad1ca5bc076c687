"""Pictures with maps of labels: ImageSegData of DeepLab, ImageLabelmapData of HED, DenseImageData of SegNet
(their *_data_layer.cpp, and data_transformer.cpp of DeepLab)."""

from __future__ import annotations

import os

import numpy as np
from PIL import Image

from ...files import allowed, limits
from ...files.prototxt import set_string
from ...glog import info
from ...layer import register
from ...proto import caffe_pb2
from ..data import PrefetchingData
from ..picture_order import PictureOrder
from ..transform import resize

# rows and columns to keep of a picture and of its labels
Cut = tuple[slice, slice]


class LabelledPictures(PrefetchingData):
    """Batches of pictures (N, C, h, w) and maps of labels (N, 1, h, w), read from lists.

    A line of `source` has a picture's path and its labels'. Both are cut and mirrored alike: TRAIN cuts
    anywhere, TEST in the middle. A picture smaller than the cut is padded at the bottom and on the
    right with its mean, its labels with `outside`.
    """

    num_top = (2, 2)
    outside = 255

    def open(self) -> None:
        """Read the list of pictures."""
        info("image_data_layer.cpp:38", f"Opening file {self.param.source}")
        try:
            with open(
                allowed.to_read(self.param.source), encoding="utf-8", errors="surrogateescape"
            ) as file:
                self.lines = [line.split() for line in file if line.strip()]
        except OSError as error:
            raise self.error(f"source, the list of pictures: {error}") from error
        if not self.lines:
            raise self.error(f"{self.param.source} lists no pictures")
        for number, words in enumerate(self.lines, 1):
            if len(words) < self.words():
                raise self.error(
                    f"{self.param.source}, picture {number}: a picture and its labels are needed, "
                    f"got '{' '.join(words)}'"
                )
        self.train = self.phase == caffe_pb2.TRAIN
        self.order = PictureOrder(self, self.random, len(self.lines))

    def words(self) -> int:
        """How many words a line has at least."""
        return 2

    def next_line(self) -> list[str]:
        """The next line of the list; after the last the first again."""
        return self.lines[self.order.next()]

    def position_state(self):
        return self.order.state()

    def go_to(self, state):
        self.order.go_to(state)

    def labels_of(self, path: str) -> np.ndarray:
        """A map of labels (1, H, W) from a picture file: gray values, or a palette's numbers."""
        try:
            with Image.open(allowed.to_read(path)) as file:
                limits.pixels(path, file)
                numbers = file.mode == "P" or file.mode.startswith("I")  # of 16 or 32 bits
                values = np.asarray(file if numbers else file.convert("L"))
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise self.error(f"cannot read labels {path}: {error}") from error
        if values.max(initial=0) > 255:
            raise self.error(f"labels {path} go up to {values.max()}: eight bits hold them all")
        return values[None]

    def read(self) -> tuple[np.ndarray, np.ndarray]:
        """The next picture (C, H, W) and its labels (1, H, W), as read."""
        path, labels, *_ = self.next_line()
        folder = os.fsdecode(self.param.root_folder)
        picture = self.read_picture(folder + path, self.param.is_color)
        return self.fitting(picture, self.labels_of(folder + labels), path)

    def fitting(
        self, picture: np.ndarray, labels: np.ndarray, path: str
    ) -> tuple[np.ndarray, np.ndarray]:
        """Both, once it is known that they are of one size."""
        if picture.shape[1:] != labels.shape[1:]:
            raise self.error(
                f"{path} is of {picture.shape[1]}x{picture.shape[2]}, its labels of "
                f"{labels.shape[1]}x{labels.shape[2]}"
            )
        return picture, labels

    def cut_size(self) -> tuple[int, int]:
        """Height and width to cut to; 0 for all of the picture."""
        size = self.layer_param.transform_param.crop_size
        return size, size

    def mirrors(self) -> bool:
        """Whether half of the pictures are mirrored."""
        return self.layer_param.transform_param.mirror

    def cut(self, values: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Picture, without its mean, and labels, padded, cut and mirrored alike."""
        wanted = self.cut_size()
        missing = [max(size - side, 0) for size, side in zip(wanted, values.shape[1:])]
        if any(missing):
            around = ((0, 0), (0, missing[0]), (0, missing[1]))
            values = np.pad(values, around)
            labels = np.pad(labels, around, constant_values=self.outside)
        for axis, size in enumerate(wanted, 1):
            surplus = values.shape[axis] - size if size else 0
            start = self.random.randrange(surplus + 1) if self.train else surplus // 2
            kept = slice(start, start + size) if size else slice(None)
            at = (slice(None),) * axis + (kept,)
            values, labels = values[at], labels[at]
        if self.mirrors() and self.random.randrange(2):
            values, labels = values[:, :, ::-1], labels[:, :, ::-1]
        return values, labels

    def pair(self) -> tuple[np.ndarray, ...]:
        """The next picture and what belongs to it, ready for the batch."""
        picture, labels = self.read()
        values, labels = self.cut(self.transform.subtract_mean(picture), labels)
        return values * np.float32(self.layer_param.transform_param.scale), labels

    def batch(self) -> tuple[np.ndarray, ...]:
        """The next batch, an array a top, float32."""
        columns = list(zip(*(self.pair() for _ in range(self.batch_size))))
        shapes = {part.shape for part in columns[0]}
        if len(shapes) > 1:
            raise self.error(
                f"pictures of one batch must have one shape, got {sorted(map(list, shapes))}; give a "
                "crop size, or choose batch_size 1"
            )
        return tuple(np.stack(column).astype(np.float32) for column in columns)


@register
class ImageSegData(LabelledPictures):
    """Pictures, their labels and sizes (N, 1, 1, 2): the height and width that are picture, not padding.

    A picture is scaled by one of scale_factors, then padded, cut (crop_size, or crop_height and
    crop_width) and mirrored. label_type PIXEL: labels are a picture file; IMAGE: a number (N, 1, 1, 1);
    NONE: lines have no label, and the top is all ignore_label. has_label: false leaves the top out.
    """

    fork = "DeepLab, PSPNet"
    num_top = (1, 3)
    param_type = "ImageData"

    def setup(self, bottom, top):
        if self.layer_param.transform_param.mean_file:
            raise self.error("takes no mean_file, for pictures have many sizes: give mean_value")
        self.outside = self.param.ignore_label
        self.by_pixel = self.param.label_type == self.param.PIXEL
        super().setup(bottom, top)

    def words(self) -> int:
        """How many words a line has at least."""
        return 1 if self.param.label_type == self.param.NONE or not self.param.has_label else 2

    def cut_size(self) -> tuple[int, int]:
        """Height and width to cut to; 0 for all of the picture."""
        p = self.layer_param.transform_param
        return p.crop_height or p.crop_size, p.crop_width or p.crop_size

    def read(self) -> tuple[np.ndarray, np.ndarray]:
        """The next picture and its labels; a map of ignore_label where the labels are no map."""
        path, *rest = self.next_line()
        p, folder = self.param, os.fsdecode(self.param.root_folder)
        picture = self.read_picture(folder + path, p.is_color)
        if p.new_height:
            picture = resize(picture, p.new_height, p.new_width)
        self.number = 0
        if self.by_pixel and self.words() == 2:
            labels = self.labels_of(folder + rest[0])
            labels = nearest(labels, p.new_height, p.new_width) if p.new_height else labels
            return self.fitting(picture, labels, path)
        if self.words() == 2:
            try:
                self.number = int(rest[0])
            except ValueError:
                raise self.error(
                    f"{p.source}: '{rest[0]}' is no number, as label_type IMAGE has them; PIXEL has files"
                ) from None
        return picture, np.full((1, *picture.shape[1:]), self.outside, np.float32)

    def pair(self) -> tuple[np.ndarray, ...]:
        """The next picture and what belongs to it, ready for the batch."""
        picture, labels = self.read()
        sides = picture.shape[1:]
        factors = self.layer_param.transform_param.scale_factors
        if factors:
            factor = factors[self.random.randrange(len(factors))]
            size = [max(1, round(side * factor)) for side in sides]
            picture, labels = resize(picture, *size), nearest(labels, *size)
        values, labels = self.cut(self.transform.subtract_mean(picture), labels)
        values = values * np.float32(self.layer_param.transform_param.scale)
        shown = [min(size or side, side) for size, side in zip(self.cut_size(), sides)]
        dims = np.array(shown, np.float32).reshape(1, 1, 2)
        if self.param.label_type == self.param.IMAGE and self.words() == 2:
            labels = np.full((1, 1, 1), self.number, np.float32)
        return (values, labels, dims) if self.param.has_label else (values, dims)


@register
class ImageLabelmapData(LabelledPictures):
    """Pictures, and labels of 1 where the label file's gray value is 128 or more, else 0."""

    fork = "HED"
    param_type = "ImageData"
    outside = 0

    def labels_of(self, path: str) -> np.ndarray:
        """A map of 0 and 1 (1, H, W) from a picture file."""
        return (super().labels_of(path) >= 128).astype(np.float32)


@register
class DenseImageData(LabelledPictures):
    """Pictures and maps of labels, both resized to new_height x new_width, the labels by the nearest.

    crop_height, crop_width and mirror of its own message hold for both; of transform_param mean and
    scale hold, for pictures. Labels are divided by label_divide_factor, without a remainder (ENet).
    """

    fork = "SegNet, ENet"

    def setup(self, bottom, top):
        own, transform = self.param, self.layer_param.transform_param
        if transform.crop_size or transform.mirror:
            raise self.error(
                "crop_height, crop_width and mirror belong into dense_image_data_param: "
                "transform_param's would not reach the labels"
            )
        if own.mean_file and not transform.mean_file:
            field = transform.DESCRIPTOR.fields_by_name["mean_file"]
            set_string(transform, field, os.fsdecode(own.mean_file))
        super().setup(bottom, top)

    def cut_size(self) -> tuple[int, int]:
        """Height and width to cut to; 0 for all of the picture."""
        return self.param.crop_height, self.param.crop_width

    def mirrors(self) -> bool:
        """Whether half of the pictures are mirrored."""
        return self.param.mirror

    def read(self) -> tuple[np.ndarray, np.ndarray]:
        """The next picture (C, H, W) and its labels (1, H, W), resized."""
        picture, labels = super().read()
        size = self.param.new_height, self.param.new_width
        if all(size):
            picture, labels = resize(picture, *size), nearest(labels, *size)
        return picture, labels // max(self.param.label_divide_factor, 1)


def nearest(labels: np.ndarray, height: int, width: int) -> np.ndarray:
    """Labels (1, H, W) at another size, each the nearest one, as OpenCV takes it."""
    rows = np.arange(height) * labels.shape[1] // height
    columns = np.arange(width) * labels.shape[2] // width
    return labels[:, rows][:, :, columns]
