"""Segment pictures: `fcn infer image.jpg [more.jpg ...]`, with FCN-8s if no other model is named.

Of each picture two files are written: NAME_classes.png, whose pixels are class indices in VOC's
palette, and NAME_overlay.png, the colours over the picture. The NYUDv2 models read HHA pictures
(-hha) or depth or HHA beside the colours: `--depth` or `--hha`, one file a picture.
"""

import argparse
import ast
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from . import devices, vis
from .command import alone
from .datasets.layer import centred
from .datasets.nyud import NYUDSegDataLayer, log_depth
from .explain import fitting, tops_of
from .measures import predicted, save_prediction
from .nets import deploy, load, read_net
from .tasks import task_of
from .weights import MISSING, given_or_found, model, prototxt_of

UNREADABLE = 1  # exit code: some picture could not be read, or was too large for the memory
MAX_PIXELS = 1_000_000  # of larger pictures FCN-8s would need 2.2 kB a pixel


def run(args: argparse.Namespace) -> int:
    """Segment the pictures; returns the exit status."""
    try:
        args.model = model(args.model)
        weights = given_or_found(args.weights, args.model, args.sample)
        prototxt = prototxt_of(args.model, args.sample)
        kinds = input_kinds(prototxt)
        files = files_of(kinds.values(), args)
        task = task_of(args.model, args.sample)
        args.out.mkdir(parents=True, exist_ok=True)
        devices.use(args)
        print(f"{args.model}: {weights}", flush=True)
        net = load(prototxt, weights)
        made = tops_of(deploy(read_net(prototxt)))
    except (OSError, ValueError) as error:
        print(f"fcn infer: {error}", file=sys.stderr)
        return MISSING
    failed = 0
    for paths, stem in zip(files, file_stems(args.images)):
        try:
            pictures = read_inputs(paths, kinds)
        except Unreadable as error:
            failed += 1
            print(error, file=sys.stderr, flush=True)
            continue
        image = pictures[net.inputs[0]]
        if image.shape[0] * image.shape[1] > args.max_pixels:
            print(f"{paths[0]}: over {args.max_pixels} pixels, so segmented at a smaller scale")
        try:
            segs = segment_inputs(net, pictures, kinds, task.mean, args.max_pixels, made)
        except MemoryError as error:
            failed += 1
            print(
                f"{paths[0]}: {error}; --max-pixels makes it smaller", file=sys.stderr, flush=True
            )
            continue
        for task_name, seg in segs.items():
            write_result(image, seg, args.out / f"{stem}{task_name}")
            report(paths[0], image, seg, task.names_of(task_name))
    return UNREADABLE if failed else 0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `fcn infer`."""
    parser.add_argument("images", nargs="+", type=Path, metavar="IMAGE")
    parser.add_argument("--model", default="voc-fcn8s", help="model folder (voc-fcn8s)")
    parser.add_argument("--weights", type=Path, help="caffemodel (default: the model's, by name)")
    for kind in ("depth", "hha"):
        text = f"the {kind} of each picture, for a model that reads it beside the colours"
        parser.add_argument(f"--{kind}", nargs="+", type=Path, metavar="FILE", help=text)
    parser.add_argument("--out", type=Path, default=Path(), help="folder for the results (here)")
    parser.add_argument("--sample", action="store_true", help="the net of the embedded task")
    parser.add_argument(
        "--max-pixels",
        type=int,
        default=MAX_PIXELS,
        help="segment larger pictures at a smaller scale (%(default)s)",
    )
    devices.add_options(parser)


# ---- what a net reads


def input_kinds(prototxt):
    """Input blob -> "color", "depth" or "hha", of the deploy form of a net.

    An NYUDv2 net's data layer says in its param_str what its tops are; other nets read colours.
    """
    net = read_net(prototxt)
    kinds = {}
    for layer in net.layer:
        if layer.type == "Python" and layer.python_param.param_str.strip():
            params = ast.literal_eval(layer.python_param.param_str)
            kinds.update(zip(layer.top, params.get("tops", ())))
    inputs = deploy(net).layer[0].top
    return {blob: kinds.get(blob, blob if blob in READ else "color") for blob in inputs}


def files_of(kinds, args):
    """The files of each picture, one a kind: IMAGE first, then those of --depth or --hha.

    ValueError where the options are not those that the model reads.
    """
    first, *more = kinds
    for kind in ("depth", "hha"):
        given = getattr(args, kind)
        if kind in more and len(given or ()) != len(args.images):
            raise ValueError(
                f"{args.model} reads {first} and {kind}: --{kind} wants a file for each of the "
                f"{len(args.images)} pictures, got {len(given or ())}"
            )
        if given and kind not in more:
            raise ValueError(f"{args.model} reads {' and '.join(kinds)}, so not --{kind}")
    if first == "hha":
        print(f"{args.model} reads HHA pictures, not colours")
    return list(zip(args.images, *(getattr(args, kind) for kind in more)))


class Unreadable(ValueError):
    """A picture's path and why it cannot be read."""


UNREADABLE_ERRORS = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)


def reason(error, path):
    """An error's text without the path, which is printed already."""
    if isinstance(error, UnidentifiedImageError):
        return "no picture, or of a kind that Pillow does not know"
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


def read_depth(path):
    """Depth in millimetres, H x W; ValueError for what `nyud_layers.log_depth` refuses."""
    with Image.open(path) as image:
        depth = np.asarray(image)
    log_depth(depth)
    return depth


def read_inputs(paths, kinds):
    """The picture of each input blob as read; Unreadable also where they differ in size."""
    pictures = {}
    for path, (blob, kind) in zip(paths, kinds.items()):
        try:
            pictures[blob] = READ[kind](path)
        except UNREADABLE_ERRORS as error:
            raise Unreadable(f"{path}: cannot be read: {reason(error, path)}") from error
    sizes = [picture.shape[:2] for picture in pictures.values()]
    if len(set(sizes)) > 1:
        each = ", ".join(f"{path} {h}x{w}" for path, (h, w) in zip(paths, sizes))
        raise Unreadable(f"{paths[0]}: sizes differ (height x width): {each}")
    return pictures


READ = {"color": read_picture, "hha": read_picture, "depth": read_depth}
PREPARE = {  # picture as read, the task's mean -> C x H x W, as the data layers have it
    "color": lambda pixels, mean: centred(pixels[:, :, ::-1], mean),  # BGR
    "hha": lambda pixels, mean: centred(pixels, NYUDSegDataLayer.mean_hha),  # as stored
    "depth": lambda depth, mean: log_depth(depth),
}


def segment(net, image, mean, max_pixels=MAX_PIXELS):
    """The class of each pixel, H x W, of each score of a net that reads a colour picture."""
    blob = net.inputs[0]
    return segment_inputs(net, {blob: image}, {blob: "color"}, mean, max_pixels)


def segment_inputs(net, pictures, kinds, mean, max_pixels=MAX_PIXELS, made=None):
    """The class of each pixel, H x W, of each score of the net, by its name's end ("", "_sem").

    `pictures` and `kinds` go by input blob. With the layers of the net, `explain.tops_of`,
    pictures of sizes that it cannot take (no published net minds any) get a border of the mean.
    """
    height, width = pictures[net.inputs[0]].shape[:2]
    scale = min(1, (max_pixels / (height * width)) ** 0.5)
    rows, columns = max(1, round(height * scale)), max(1, round(width * scale))
    canvas = [fitting(made, n) if made else n for n in (rows, columns)]
    for blob, kind in kinds.items():
        picture = pictures[blob]
        if scale < 1:
            how = Image.NEAREST if kind == "depth" else None  # no depths that are nowhere
            picture = np.asarray(Image.fromarray(picture).resize((columns, rows), how))
        data = PREPARE[kind](picture, mean)
        net.blobs[blob].reshape(1, len(data), *canvas)
        net.blobs[blob].data[...] = 0
        net.blobs[blob].data[0, :, :rows, :columns] = data
    net.forward()
    segs = {}
    for name in net.outputs:
        seg = predicted(net.blobs[name])[:rows, :columns].astype(np.uint8)
        if scale < 1:
            seg = np.asarray(Image.fromarray(seg).resize((width, height), Image.NEAREST))
        segs[name.removeprefix("score")] = seg
    return segs


def write_result(image, seg, stem):
    """Write STEM_classes.png and STEM_overlay.png."""
    save_prediction(seg, f"{stem}_classes.png")
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


def main() -> int:
    """The command `python infer.py`."""
    return alone(sys.modules[__name__], "infer.py")
