"""What SSD does to pictures with boxes before a net sees them: other colours, room around, windows cut out,
another size (util/im_transforms.cpp, util/sampler.cpp, data_transformer.cpp).

Pictures are (C, H, W), uint8. Objects are rows (class, instance, xmin, ymin, xmax, ymax, difficult), in
shares of the picture. All draw from a random.Random.
"""

from __future__ import annotations

import math
import random
from typing import Any

import numpy as np
from PIL import Image

from ...proto import caffe_pb2
from ..transform import resize

RESIZE = caffe_pb2.ResizeParameter
FILTERS = {
    RESIZE.AREA: Image.Resampling.BOX,
    RESIZE.NEAREST: Image.Resampling.NEAREST,
    RESIZE.CUBIC: Image.Resampling.BICUBIC,
    RESIZE.LANCZOS4: Image.Resampling.LANCZOS,
}
WHOLE = np.array([0.0, 0.0, 1.0, 1.0])


def distort(picture: np.ndarray, param: Any, draw: random.Random) -> np.ndarray:
    """Brightness, contrast, saturation and hue changed, each with its probability; contrast before or
    behind the colours. Hues go through Pillow's, of 256 steps, where OpenCV has 180."""
    values = picture.astype(np.float32)
    if draw.random() < param.brightness_prob:
        values = values + draw.uniform(-param.brightness_delta, param.brightness_delta)
    early = draw.random() < 0.5
    for turn in (True, False):
        if turn == early and draw.random() < param.contrast_prob:
            values = values * draw.uniform(param.contrast_lower, param.contrast_upper)
        if turn:
            values = recolour(values, param, draw)
    values = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    if draw.random() < param.random_order_prob:
        order = list(range(len(values)))
        draw.shuffle(order)
        values = values[order]
    return values


def recolour(values: np.ndarray, param: Any, draw: random.Random) -> np.ndarray:
    """Saturation and hue changed; a gray picture stays."""
    factor = (
        draw.uniform(param.saturation_lower, param.saturation_upper)
        if draw.random() < param.saturation_prob
        else 1.0
    )
    turn = (
        draw.uniform(-param.hue_delta, param.hue_delta) if draw.random() < param.hue_prob else 0.0
    )
    if len(values) != 3 or factor == 1 and turn == 0:
        return values
    rgb = np.clip(np.rint(values), 0, 255).astype(np.uint8)[::-1].transpose(1, 2, 0)
    hsv = np.asarray(Image.fromarray(np.ascontiguousarray(rgb)).convert("HSV")).astype(np.float32)
    hsv[..., 0] += turn * 256 / 180
    hsv[..., 1] *= factor
    changed = Image.fromarray(np.clip(np.rint(hsv), 0, 255).astype(np.uint8), "HSV").convert("RGB")
    return np.asarray(changed).transpose(2, 0, 1)[::-1].astype(np.float32)


def expand(
    picture: np.ndarray, objects: np.ndarray, param: Any, mean: np.ndarray, draw: random.Random
) -> tuple[np.ndarray, np.ndarray]:
    """The picture somewhere on a canvas of the mean, up to max_expand_ratio as large, and its objects."""
    if draw.random() >= param.prob or param.max_expand_ratio - 1 < 0.01:
        return picture, objects
    ratio = draw.uniform(1, param.max_expand_ratio)
    channels, height, width = picture.shape
    size = int(height * ratio), int(width * ratio)
    top, left = (math.floor(draw.uniform(0, n - side)) for n, side in zip(size, (height, width)))
    canvas = np.empty((channels, *size), np.uint8)
    canvas[...] = np.rint(np.broadcast_to(mean, (channels,)))[:, None, None]
    canvas[:, top : top + height, left : left + width] = picture
    moved = objects.copy()
    for axis, (start, side, whole) in enumerate(((left, width, size[1]), (top, height, size[0]))):
        moved[:, [2 + axis, 4 + axis]] = (objects[:, [2 + axis, 4 + axis]] * side + start) / whole
    return canvas, moved


def shares(boxes: np.ndarray, window: np.ndarray) -> np.ndarray:
    """Areas that boxes (n, 4) have in common with a window."""
    far = np.minimum(boxes[:, 2:], window[2:])
    return np.maximum(far - np.maximum(boxes[:, :2], window[:2]), 0).prod(1)


def area(boxes: np.ndarray) -> np.ndarray:
    """Areas of boxes (..., 4)."""
    return np.maximum(boxes[..., 2:] - boxes[..., :2], 0).prod(-1)


def satisfies(window: np.ndarray, objects: np.ndarray, rule: Any) -> bool:
    """Whether a window meets all that a SampleConstraint states, with one of the objects."""
    boxes = objects[:, 2:6]
    shared = shares(boxes, window)
    union = area(boxes) + area(window) - shared
    measures = {
        "jaccard_overlap": shared / np.maximum(union, 1e-12),
        "sample_coverage": shared / max(area(window), 1e-12),
        "object_coverage": shared / np.maximum(area(boxes), 1e-12),
    }
    fits = np.ones(len(boxes), bool)
    stated = False
    for name, values in measures.items():
        for bound, passes in (("min", values.__ge__), ("max", values.__le__)):
            if rule.HasField(f"{bound}_{name}"):
                stated, fits = True, fits & passes(getattr(rule, f"{bound}_{name}"))
    return not stated or bool(fits.any())


def sample(objects: np.ndarray, samplers: Any, draw: random.Random) -> np.ndarray | None:
    """One of the windows that the samplers find, in shares of the picture; None: none was found."""
    found = []
    for sampler in samplers:
        count, p = 0, sampler.sampler
        for _ in range(sampler.max_trials):
            if sampler.HasField("max_sample") and count >= sampler.max_sample:
                break
            window = WHOLE
            if sampler.HasField("sampler"):
                scale = draw.uniform(p.min_scale, p.max_scale)
                least = max(p.min_aspect_ratio, scale**2)
                ratio = draw.uniform(least, min(p.max_aspect_ratio, 1 / scale**2))
                size = np.array([scale * math.sqrt(ratio), scale / math.sqrt(ratio)])
                corner = np.array([draw.uniform(0, 1 - side) for side in size])
                window = np.concatenate([corner, corner + size])
            if satisfies(window, objects, sampler.sample_constraint):
                count += 1
                found.append(window)
    return found[draw.randrange(len(found))] if found else None


def cut(
    picture: np.ndarray, objects: np.ndarray, window: np.ndarray, rule: Any | None
) -> tuple[np.ndarray, np.ndarray]:
    """A window of the picture, and the objects in it that an EmitConstraint lets through."""
    _, height, width = picture.shape
    left, top, right, bottom = (np.clip(window, 0, 1) * [width, height, width, height]).astype(int)
    part = picture[:, top : max(bottom, top + 1), left : max(right, left + 1)]
    boxes = objects[:, 2:6]
    kept = shares(boxes, window) > 0
    if rule is not None and rule.emit_type == rule.CENTER:
        centre = (boxes[:, :2] + boxes[:, 2:]) / 2
        kept &= ((centre >= window[:2]) & (centre <= window[2:])).all(1)
    elif rule is not None:
        kept &= shares(boxes, window) > rule.emit_overlap * np.maximum(area(boxes), 1e-12)
    inside = objects[kept].copy()
    size = np.tile(window[2:] - window[:2], 2)
    inside[:, 2:6] = np.clip((inside[:, 2:6] - np.tile(window[:2], 2)) / size, 0, 1)
    return part, inside


def to_size(picture: np.ndarray, param: Any, draw: random.Random) -> np.ndarray:
    """The picture at height x width, by one of the interpolations, drawn."""
    mode = draw.choice(list(param.interp_mode) or [RESIZE.LINEAR])
    if mode == RESIZE.LINEAR:
        return resize(picture, param.height, param.width)
    planes = [
        Image.fromarray(plane).resize((param.width, param.height), FILTERS[mode])
        for plane in picture
    ]
    return np.stack([np.asarray(plane) for plane in planes])
