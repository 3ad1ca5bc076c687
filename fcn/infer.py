"""Segments pictures: `fcn infer image.jpg [more.jpg ...]`, with FCN-8s if no other model is named.

For each picture two files are written: NAME_classes.png, whose pixels are class indices in VOC's
palette, and NAME_overlay.png, the colours over the picture. The NYUDv2 models read HHA pictures
(-hha), or depth or HHA beside the colours: `--depth` or `--hha`, one file for each picture.
"""

import argparse
import ast
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

import caffe
from fcn import devices, models, prototxts, weights
from fcn.finite_scores import NotFinite, require_finite
from fcn.inputs import PREPARE, READ, read_inputs
from fcn.pictures import Unreadable
from fcn.scoring import predicted
from fcn.tasks import Task, task_of
from fcn.vis import make_palette, save_classes, vis_seg

FAILED = 1  # exit code: a picture could not be read, was too large, or has scores that are NaN
MAX_PIXELS = 1_000_000  # FCN-8s needs 2.2 kB a pixel


def run(args: argparse.Namespace) -> int:
    """Segment the pictures; returns the exit code. One that fails does not stop the others."""
    caffe.init_log(1)  # warnings, not how the net is built
    model = models.model_name(args.model)
    file = weights.given_or_found(args.weights, model, args.sample)
    prototxt = models.prototxt_of(model, args.sample)
    kinds = input_kinds(prototxt)
    files = input_files(list(kinds.values()), model, args)
    task = task_of(model, args.sample)
    args.out.mkdir(parents=True, exist_ok=True)
    devices.use(args)
    print(f"{model}: {file}", flush=True)
    net = prototxts.load(prototxt, file)
    failed = False
    for paths, stem in zip(files, file_stems(args.images)):
        try:
            pictures = read_inputs(paths, kinds)
            image = pictures[net.inputs[0]]
            if image.shape[0] * image.shape[1] > args.max_pixels:
                print(f"{paths[0]}: over {args.max_pixels} pixels, so segmented at a smaller scale")
            segs = segment_inputs(net, pictures, kinds, task.mean, args.max_pixels)
        except Unreadable as error:
            failed = True
            print(error, file=sys.stderr, flush=True)
        except NotFinite as error:
            failed = True
            print(f"{paths[0]}: {error}", file=sys.stderr, flush=True)
            if error.weights:  # those of all pictures
                print(f"the weights are those of {file}", file=sys.stderr, flush=True)
                break
        except MemoryError as error:
            failed = True
            text = f"{paths[0]}: {error}; --max-pixels makes it smaller"
            print(text, file=sys.stderr, flush=True)
        else:
            write_results(paths[0], image, segs, args.out / stem, task)
    return FAILED if failed else 0


# ---- what a net reads


def input_kinds(prototxt: Path) -> dict[str, str]:
    """Input blob -> "color", "depth" or "hha", of the deploy form of a net.

    An NYUDv2 net's data layer says in its param_str what its tops are. Other nets read colours.
    """
    net = prototxts.read_net(prototxt)
    kinds: dict[str, str] = {}
    for layer in net.layer:
        if layer.type == "Python" and layer.python_param.param_str.strip():
            params = ast.literal_eval(layer.python_param.param_str)
            kinds.update(zip(layer.top, params.get("tops", ())))
    inputs = prototxts.deploy(net).layer[0].top
    return {blob: kinds.get(blob, blob if blob in READ else "color") for blob in inputs}


def input_files(kinds: Sequence[str], model: str, args: argparse.Namespace) -> list[tuple]:
    """The files of each picture, one of each kind: IMAGE first, then those of --depth or --hha.

    ValueError if the options are not those that the model reads.
    """
    first, *more = kinds
    for kind in ("depth", "hha"):
        given = getattr(args, kind)
        if kind in more and len(given or ()) != len(args.images):
            raise ValueError(
                f"{model} reads {first} and {kind}: --{kind} wants a file for each of the "
                f"{len(args.images)} pictures, got {len(given or ())}"
            )
        if given and kind not in more:
            raise ValueError(f"{model} reads {' and '.join(kinds)}, so not --{kind}")
    if first == "hha":
        print(f"{model} reads HHA pictures, not colours")
    return list(zip(args.images, *(getattr(args, kind) for kind in more)))


# ---- segmentation


def segment(
    net: caffe.Net, image: np.ndarray, mean: Sequence[float], max_pixels: int = MAX_PIXELS
) -> dict[str, np.ndarray]:
    """`segment_inputs` for a net that reads one colour picture."""
    blob = net.inputs[0]
    return segment_inputs(net, {blob: image}, {blob: "color"}, mean, max_pixels)


def segment_inputs(
    net: caffe.Net,
    pictures: Mapping[str, np.ndarray],
    kinds: Mapping[str, str],
    mean: Sequence[float],
    max_pixels: int = MAX_PIXELS,
) -> dict[str, np.ndarray]:
    """The class of each pixel, H x W, for each score of the net, by the end of its name ("", "_sem").

    `pictures` and `kinds` are by input blob. Larger pictures than `max_pixels` are segmented at a
    smaller scale. Raises NotFinite, a ValueError, if scores are not finite.
    """
    height, width = pictures[net.inputs[0]].shape[:2]
    scale = min(1, (max_pixels / (height * width)) ** 0.5)
    rows, columns = max(1, round(height * scale)), max(1, round(width * scale))
    for blob, kind in kinds.items():
        picture = pictures[blob]
        if scale < 1:
            # Between two depths that are there, interpolation would give one that is not.
            method = Image.Resampling.NEAREST if kind == "depth" else None
            picture = np.asarray(Image.fromarray(picture).resize((columns, rows), method))
        data = PREPARE[kind](picture, mean)
        net.blobs[blob].reshape(1, *data.shape)
        net.blobs[blob].data[...] = data
    net.forward()
    segs = {}
    for name in net.outputs:
        require_finite(net, name)
        seg = predicted(net.blobs[name]).astype(np.uint8)
        if scale < 1:
            seg = np.asarray(Image.fromarray(seg).resize((width, height), Image.Resampling.NEAREST))
        segs[name.removeprefix("score")] = seg
    return segs


# ---- results


def write_results(
    path: Path, image: np.ndarray, segs: Mapping[str, np.ndarray], stem: Path, task: Task
) -> None:
    """Write STEM_classes.png and STEM_overlay.png of each score, and print the classes' shares."""
    for end, seg in segs.items():
        save_classes(seg, f"{stem}{end}_classes.png")
        overlay = vis_seg(image, seg, make_palette(256))
        Image.fromarray(overlay).save(f"{stem}{end}_overlay.png")
        print_shares(path, image, seg, task.names_of(end))


def print_shares(path: Path, image: np.ndarray, seg: np.ndarray, names: Sequence[str]) -> None:
    """Print which classes cover which share of the picture, the largest first."""
    count = np.bincount(seg.ravel(), minlength=len(names))
    shares = [
        f"{names[k]} {100 * count[k] / seg.size:.1f}%" for k in (-count).argsort() if count[k]
    ]
    height, width = image.shape[:2]
    print(f"{path} ({width}x{height}): {', '.join(shares)}", flush=True)


def file_stems(paths: Iterable[Path]) -> list[str]:
    """The names of the results: the pictures' own, numbered where two are the same."""
    stems: list[str] = []
    for path in paths:
        stem, number = path.stem, 1
        while stem in stems:
            number += 1
            stem = f"{path.stem}_{number}"
        stems.append(stem)
    return stems
