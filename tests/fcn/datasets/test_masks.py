"""What is said of masks whose values are no classes, and of masks of two values."""

import io

import numpy as np
import pytest
from PIL import Image

from fcn.datasets import masks
from fcn.vis import make_palette

VOID = 255


def classes():
    """Five classes in areas of VOC's kind, with void between two of them."""
    label = np.zeros((60, 80), np.uint8)
    label[5:30, 5:40], label[20:50, 45:75], label[35:55, 5:30] = 3, 7, 18
    label[5:30, 38:42] = VOID
    return label


def as_jpeg(values, quality=70):
    """Grey values as a JPEG leaves them."""
    file = io.BytesIO()
    Image.fromarray(values).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def grey():
    """The classes in VOC's colours, made grey."""
    return np.asarray(Image.fromarray(make_palette(256)[classes()]).convert("L"))


def resized(values):
    """Three times the size and turned a little, with values between the classes along borders."""
    image = Image.fromarray(values).resize((240, 180), Image.Resampling.BILINEAR)
    return np.asarray(image.rotate(5, Image.Resampling.BILINEAR))


def areas(*values):
    """Vertical bars of values."""
    return np.repeat(np.array(values, np.uint8), 10)[None].repeat(30, 0)


KINDS = {
    "binary, half bright": (np.where(classes() > 0, 128, 0), "binary", "only 0 and 128 occur"),
    "binary, 254": (np.where(classes() > 0, 254, 0), "binary", "only 0 and 254 occur"),
    "binary, inverted": (np.where(classes() > 0, 0, 200), "binary", "an inverted one: 200 holds"),
    "one colour made grey": (np.where(classes() > 0, 38, 0), "grey_colours", "grey levels"),
    "colours made grey": (grey(), "grey_colours", "they are the grey levels"),
    "the same through JPEG": (as_jpeg(grey(), 98), "grey_colours", "JPEG or resizing made more"),
    "binary through JPEG": (
        as_jpeg(np.where(classes() > 0, 255, 0).astype(np.uint8)),
        "jpeg",
        "near 0 or 255",
    ),
    "resized": (resized(classes()), "jpeg", "along borders"),
    "another list of classes": (areas(0, 20, *range(30, 50)), "range", "0 to 20 and 255 for void"),
    "from one": (areas(1, 2, 21), "from_one", "none is 0"),
    "trimap": (areas(0, 128, 255), "grey_colours", ""),
    "signed": (classes().astype(np.int16) - 1, "range", "-1"),
    "wide": (classes().astype(np.int32) * 100, "range", "1800"),
}


@pytest.mark.parametrize("name", KINDS)
def test_values_out_of_range(name):
    values, kind, words = KINDS[name]
    values = values.astype(np.uint8) if values.min() >= 0 and values.max() < 256 else values
    fault = masks.of_values(values, 21)
    assert fault is not None and fault.kind == kind and words in fault.text
    assert kind in masks.WAYS_OUT


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float64])
def test_nothing_is_wrong_with_classes(dtype):
    assert masks.of_values(classes().astype(dtype), 21) is None


@pytest.mark.parametrize(
    "label, look",
    [
        (np.where(classes() > 0, 255, 0), "binary"),
        (np.where(classes() > 0, 0, 255), "inverted"),
        (np.zeros((9, 9)), "zero"),
        (np.full((9, 9), 255), "void"),
        (classes() > 0, "ones"),
        (classes(), ""),
        (np.where(classes() == 3, 5, np.where(classes() == VOID, VOID, 0)), ""),
    ],
)
def test_labels_of_two_values(label, look):
    label = label.astype(np.uint8)
    assert masks.two_valued(label[None], np.bincount(label.ravel(), minlength=256)) == look


def test_a_few_stray_pixels_leave_a_mask_binary():
    label = np.where(classes() > 0, 255, 0).astype(np.uint8)
    label[0, :4] = 1, 2, 7, 1
    assert masks.two_valued(label, np.bincount(label.ravel(), minlength=256)) == "binary"
