"""Segments pictures: `fcn infer image.jpg [more.jpg ...]`, with FCN-8s if no other model is named.

What it takes and writes is in fcn/options/infer.py, its help page. The NYUDv2 models read HHA pictures
(-hha), or depth or HHA beside the colours: `--depth` or `--hha`, one file for each picture.
"""

import argparse
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

import caffe
from fcn import crf, devices, jobs, picture_files, together, video
from fcn.equal_scores import AllEqual
from fcn.finite_scores import NotFinite, require_finite
from fcn.pictures import Unreadable, from_array
from fcn.predictions import predicted
from fcn.segmentation import Segmentation, unknown_class
from fcn.segmenter import MAX_PIXELS, Scene, Segmenter, enlarged, forward, scaled

FAILED = 1  # exit code: a picture was not segmented, or its results not written


def run(args: argparse.Namespace) -> int:
    """Segment the pictures; returns the exit code. One that fails does not stop the others."""
    if jobs.wanted(args):
        return jobs.run("infer", args)
    with together.working(args):
        return segment_all(args)


def segment_all(args: argparse.Namespace) -> int:
    """Segment this worker's share of the pictures; returns the exit code."""
    caffe.init_log(1)  # warnings, not how the net is built
    parameters = crf.given(args, args.sample)
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the user's own large pictures
    found = picture_files.find(args.images, args.out, once=not (args.depth or args.hha))
    if not found.pictures:
        left_out = (
            f"nothing but {plural(found.results, 'result')} of earlier runs"
            if found.results
            else ""
        )
        raise ValueError("; ".join([*found.problems, left_out or "no picture to segment"]))
    pictures = [path for path in found.pictures if not video.is_video(path)]
    videos = [path for path in found.pictures if video.is_video(path)]
    if args.out.exists() and not args.out.is_dir():
        raise ValueError(f"--out {args.out} is a file; name the folder that the results go to")
    args.out.mkdir(parents=True, exist_ok=True)
    with together.told_once():
        devices.use(args)
        segmenter = Segmenter(
            args.model,
            weights=args.weights,
            names=args.names,
            mean=args.mean,
            sample=args.sample,
            max_pixels=args.max_pixels,
            any_weights=args.any_weights,
            crf=parameters,
        )
        require_classes(segmenter, args.classes)
        kinds = list(segmenter.about.kinds.values())
        if kinds[0] == "hha":
            print(f"{segmenter.about.model} reads HHA pictures, not colours")
        print(f"{segmenter.about.model}: {segmenter.about.weights}", flush=True)
        if parameters:
            print(f"with a dense CRF of {parameters}", flush=True)
        left_out = f"; {plural(found.results, 'result')} of earlier runs left out"
        counts = [plural(len(pictures), "picture")] * bool(pictures or not videos)
        counts += [plural(len(videos), "video")] * bool(videos)
        print(" and ".join(counts) + left_out * bool(found.results), flush=True)
    others = others_of(segmenter, pictures, args)
    well = video.segment_all(segmenter, together.dealt(videos), args.out, args.clock, args.classes)
    with Run(segmenter, args, pictures) as work:
        for problem in found.problems if together.is_first() else ():
            work.fail(problem)
        for group in segmenter.batches(work.scenes(others), args.batch):
            if not work.segment(group):
                break
    return FAILED if work.failed or not well else 0


def plural(count: int, what: str) -> str:
    """`1 picture`, `2 pictures`."""
    return f"{count} {what}{'s' * (count != 1)}"


def require_classes(segmenter: Segmenter, names: Sequence[str] | None) -> None:
    """ValueError for names that are no classes of the net."""
    known = [name for listed in segmenter.score_names.values() for name in listed]
    for name in names or ():
        if name not in known:
            raise ValueError(f"--classes: {unknown_class(name, known)}")
    if names == []:
        raise ValueError("--classes wants names, with commas between them")


def others_of(
    segmenter: Segmenter, pictures: Sequence[Path], args: argparse.Namespace
) -> dict[str, Sequence[Any]]:
    """The files of --depth or --hha, as many as the pictures; ValueError if they do not belong together."""
    given: dict[str, list[Path] | None] = {}
    for kind in ("depth", "hha"):
        words = getattr(args, kind)
        given[kind] = words and picture_files.find(words, args.out, once=False).pictures
    others = segmenter.more_kinds(len(pictures), **given)
    for kind, files in others.items():
        counted = len(getattr(args, kind)) == len(files) and len(args.images) == len(pictures)
        for picture, file in zip(pictures, () if counted else files):
            if picture.stem != file.stem:  # files of a folder belong together by their names
                text = f"{picture} and --{kind} {file} are not called alike"
                raise ValueError(f"{text}. Way out: name the files in order, or in two lists")
    return others


class Run:
    """One run of the command: reads, segments and writes, and says what comes of it."""

    def __init__(
        self, segmenter: Segmenter, args: argparse.Namespace, pictures: Sequence[Path]
    ) -> None:
        """With a bar on a terminal."""
        self.segmenter, self.args, self.pictures = segmenter, args, pictures
        endings = [segmenter.ending(blob) for blob in segmenter.score_names]
        self.stems = picture_files.stems(pictures, args.out, endings)
        self.failed = False
        shown = None if together.is_first() else True
        count = len(together.dealt(pictures))
        self.bar = tqdm(total=count, unit="picture", leave=False, disable=shown)

    def __enter__(self) -> "Run":
        return self

    def __exit__(self, *error: object) -> None:
        self.bar.close()

    def say(self, text: str) -> None:
        """A line on standard output, above the bar."""
        tqdm.write(text, sys.stdout)
        sys.stdout.flush()

    def fail(self, text: str) -> None:
        """A line on standard error; the exit code will be 1."""
        self.failed = True
        tqdm.write(text, sys.stderr)
        sys.stderr.flush()

    def scenes(self, others: Mapping[str, Sequence[Any]]) -> Iterator[Scene]:
        """The pictures that can be read, of this worker's share."""
        for number, path in together.dealt(list(enumerate(self.pictures))):
            try:
                more = {kind: files[number] for kind, files in others.items()}
                scene = self.segmenter.read(path, **more)
            except Unreadable as error:
                self.fail(str(error))
                self.bar.update()
            else:
                yield replace(scene, number=number)

    def segment(self, scenes: Sequence[Scene]) -> bool:
        """Segment pictures of one size, and write; false if all others will fail, too."""
        try:
            results = self.segmenter.segment(scenes, scores=self.args.probabilities)
        except (NotFinite, AllEqual, MemoryError) as error:
            if len(scenes) > 1:  # the fault of one may not be the others'
                return all(self.segment([scene]) for scene in scenes)
            smaller = "; --max-pixels makes it smaller" if isinstance(error, MemoryError) else ""
            self.fail(f"{scenes[0].label}: {error}{smaller}")
            self.bar.update()
            if getattr(error, "weights", False):
                self.fail(f"the weights are those of {self.segmenter.about.weights}")
                return False
        else:
            for scene, result in zip(scenes, results):
                self.write(result, scene.number)
        return True

    def write(self, result: Segmentation, number: int) -> None:
        """Write a picture's files and print its lines; what cannot be written is said."""
        args, path = self.args, self.pictures[number]
        for note in result.notes:
            self.say(f"{path}: {note}")
        try:
            result.save(
                args.out / self.stems[number],
                only=args.classes,
                overlay=args.overlay,
                legend=args.legend,
                as_json=args.json,
                probabilities=args.probabilities,
                source=picture_files.source(path),
                about={
                    "model": self.segmenter.about.model,
                    "weights": str(self.segmenter.about.weights),
                },
            )
        except OSError as error:
            name = error.filename or args.out / self.stems[number]
            self.fail(f"{path}: {name} cannot be written: {error.strerror or error}")
        if self.stems[number] != path.stem:  # another picture's results have that name
            self.say(f"{path}: its results are called {self.stems[number]}_...")
        for each in (result, *result.also.values()):
            only = args.classes and [name for name in args.classes if name in each.names]
            self.say(each.summary(only))
            if args.legend and (legend := each.legend(only)):
                self.say(legend)
        self.bar.update()


# ---- from Python, for a net that one has already


def segment(
    net: caffe.Net, image: Any, mean: Sequence[float], max_pixels: int = MAX_PIXELS
) -> dict[str, np.ndarray]:
    """The class of each pixel, H x W, for each score of a net that reads one colour picture.

    `image` is an array as `from_array` takes it. The keys are the ends of the scores' names ("",
    "_sem"). Larger pictures than `max_pixels` are segmented at a smaller scale. Raises NotFinite, a
    ValueError, if scores are not finite.
    """
    image = from_array(image)
    blob, size = net.inputs[0], image.shape[:2]
    forward(net, [{blob: image}], {blob: "color"}, mean, scaled(size, max_pixels))
    segs = {}
    for name in net.outputs:
        require_finite(net, name)
        seg = predicted(net.blobs[name]).astype(np.uint8)
        segs[name.removeprefix("score")] = enlarged(seg, size)
    return segs
