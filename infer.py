"""Segment pictures: `python infer.py image.jpg [more.jpg ...]`, FCN-8s if no other model is named.

Of each picture two files are written: NAME_classes.png, whose pixels are class indices in VOC's
palette, and NAME_overlay.png, the colours over the picture.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

import fcn_device
import fcn_nets
import fcn_tasks
import fcn_weights
import score
import vis

UNREADABLE = 1  # exit code: some picture could not be read
MAX_PIXELS = 1_000_000  # of larger pictures FCN-8s would need 2.2 kB a pixel


def main():
    """The command; returns its exit code."""
    args = parse()
    try:
        weights = fcn_weights.given_or_found(args.weights, args.model, args.sample)
        prototxt = fcn_weights.prototxt_of(args.model, args.sample)
    except FileNotFoundError as error:
        print(f"infer.py: {error}", file=sys.stderr)
        return fcn_weights.MISSING
    fcn_device.use(args)
    print(f"{args.model}: {weights}")
    net = fcn_nets.load(prototxt, weights)
    if len(net.inputs) > 1:
        print(
            f"infer.py: {args.model} needs {' and '.join(net.inputs)}, not one picture; "
            "score.py runs it on its data set",
            file=sys.stderr,
        )
        return fcn_weights.MISSING
    task = fcn_tasks.task_of(args.model, args.sample)
    args.out.mkdir(parents=True, exist_ok=True)
    failed = 0
    for path, stem in zip(args.images, file_stems(args.images)):
        try:
            image = read_picture(path)
        except UNREADABLE_ERRORS as error:
            failed += 1
            print(f"{path}: cannot be read: {reason(error, path)}", file=sys.stderr, flush=True)
            continue
        if image.shape[0] * image.shape[1] > args.max_pixels:
            print(f"{path}: over {args.max_pixels} pixels, so segmented at a smaller scale")
        for task_name, seg in segment(net, image, task.mean, args.max_pixels).items():
            write_result(image, seg, args.out / f"{stem}{task_name}")
            report(path, image, seg, task.names_of(task_name))
    return UNREADABLE if failed else 0


def parse():
    parser = argparse.ArgumentParser(description="segment pictures")
    parser.add_argument("images", nargs="+", type=Path, metavar="IMAGE")
    parser.add_argument("--model", default="voc-fcn8s", help="model folder (voc-fcn8s)")
    parser.add_argument("--weights", type=Path, help="caffemodel (default: the model's, by name)")
    parser.add_argument("--out", type=Path, default=Path(), help="folder for the results (here)")
    parser.add_argument("--sample", action="store_true", help="the net of the embedded task")
    parser.add_argument(
        "--max-pixels",
        type=int,
        default=MAX_PIXELS,
        help="segment larger pictures at a smaller scale (%(default)s)",
    )
    fcn_device.add_options(parser)
    return parser.parse_args()


UNREADABLE_ERRORS = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)


def reason(error, path):
    """An error's text without the path, which is printed already."""
    text = error.strerror or str(error) if isinstance(error, OSError) else str(error)
    return text.replace(f" {str(path)!r}", " this file")


def read_picture(path):
    """Any picture as H x W x 3 uint8 RGB, turned upright as its EXIF says, transparency on white.

    Raises what Pillow raises for a file it cannot read (UNREADABLE_ERRORS).
    """
    with Image.open(path) as image:
        image.load()
        image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):  # 16 bits a pixel, in whatever integer Pillow keeps them
        image = Image.fromarray((np.asarray(image).clip(0, 65535) / 257).round().astype(np.uint8))
    elif image.mode == "F":  # floating point: fractions of white, or already 0 to 255
        values = np.nan_to_num(np.asarray(image))
        scale = 255 if values.max() <= 1 else 1
        image = Image.fromarray((values * scale).clip(0, 255).astype(np.uint8))
    if "A" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return np.asarray(image.convert("RGB"))


def segment(net, image, mean, max_pixels=MAX_PIXELS):
    """The class of each pixel, H x W, of each score of the net, by its name's end ("", "_sem")."""
    height, width = image.shape[:2]
    scale = min(1, (max_pixels / (height * width)) ** 0.5)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    scaled = image if scale == 1 else np.asarray(Image.fromarray(image).resize(size))
    data = (scaled[:, :, ::-1] - np.array(mean)).transpose(2, 0, 1)  # BGR, as the nets were trained
    source = net.inputs[0]
    net.blobs[source].reshape(1, *data.shape)
    net.blobs[source].data[...] = data
    net.forward()
    segs = {}
    for name in net.outputs:
        seg = net.blobs[name].data[0].argmax(0).astype(np.uint8)
        if scale < 1:
            seg = np.asarray(Image.fromarray(seg).resize((width, height), Image.NEAREST))
        segs[name.removeprefix("score")] = seg
    return segs


def write_result(image, seg, stem):
    """Write STEM_classes.png and STEM_overlay.png."""
    score.save_prediction(seg, f"{stem}_classes.png")
    overlay = vis.vis_seg(image, seg, vis.make_palette(256))
    Image.fromarray(overlay).save(f"{stem}_overlay.png")


def report(path, image, seg, names):
    """Print which classes cover which share of the picture, the largest first."""
    count = np.bincount(seg.ravel(), minlength=len(names))
    shares = [
        f"{names[k]} {100 * count[k] / seg.size:.1f}%" for k in (-count).argsort() if count[k]
    ]
    height, width = image.shape[:2]
    print(f"{path} ({width}x{height}): {', '.join(shares)}", flush=True)


def file_stems(paths):
    """The names results go by: the pictures' own, numbered where two are the same."""
    stems = []
    for path in paths:
        stem, number = path.stem, 1
        while stem in stems:
            number += 1
            stem = f"{path.stem}_{number}"
        stems.append(stem)
    return stems


if __name__ == "__main__":
    sys.exit(main())
