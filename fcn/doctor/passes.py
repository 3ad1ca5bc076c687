"""Runs the filled net on some pictures, in a net of its own: the solver's nets see what they would."""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

import caffe
from fcn import prototxts
from fcn.datasets.dataset import VOID
from fcn.doctor.case import TEST, Case, Source
from fcn.doctor.net import mapped
from fcn.explain import next_size_that_fits

PICTURES = 6  # run on, as long as nothing clears the net
LARGEST, SIDE = 256, 128  # of a larger picture, a part of about this side


class View(NamedTuple):
    """A picture, or a part of it, and its labels."""

    id: str
    blobs: dict[str, np.ndarray]  # C x H x W
    labels: dict[str, np.ndarray]  # H x W
    objects: int  # pixels that have another class than most

    @property
    def is_small(self) -> bool:
        """Whether it is run on as a whole."""
        return max(next(iter(self.labels.values())).shape) <= LARGEST


class Passes:
    """Passes of the filled net, in a net of its own, over some pictures of a data layer."""

    def __init__(self, case: Case, source: Source, labels: tuple[str, ...]):
        """Nothing is run yet."""
        self.case, self.source, self.labels, self.count = case, source, labels, 0
        form = prototxts.deploy(case.nets[TEST])
        self.rectifiers = rectifiers(form)  # name -> (top, layer that it rectifies)
        self.dead = list(self.rectifiers)  # that gave zeros alone so far

    def views(self) -> Iterator[View]:
        """Run the net on parts of some pictures, then on the whole of the one that has most objects.

        The last takes longer, but what has no object in a part may have one in the whole.
        """
        end = time.monotonic() + self.case.seconds / 5
        best: View | None = None
        ids = self.source.ids
        for id in ids[:: max(1, len(ids) // PICTURES)][:PICTURES]:
            whole = self.whole(id)
            if whole is None or not self.pass_on(part := self.part_of(whole)):
                continue
            yield part
            best = whole if best is None or whole.objects > best.objects else best
            if time.monotonic() > end:
                break
        if best is not None and not best.is_small and self.pass_on(best):
            yield best

    def whole(self, id: str) -> View | None:
        """A picture; None if it cannot be read, which is told elsewhere."""
        reader = self.source.reader
        assert reader is not None
        try:
            arrays = dict(zip(self.source.layer.top, reader.load_all(id)))
        except (OSError, ValueError, KeyError):
            return None
        labels = {label: arrays.pop(label)[0] for label in self.labels}
        return View(id, arrays, labels, int(objects(labels).sum()))

    def part_of(self, view: View) -> View:
        """The part of a large picture that has most objects, of a size that fits the net."""
        if view.is_small:
            return view
        marked = objects(view.labels)
        layers, _ = mapped(self.case.nets[TEST])
        sides = [min(size, next_size_that_fits(layers, SIDE)) for size in marked.shape]
        sums = np.pad(marked.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
        (height, width), step = sides, SIDE // 4
        corners = [
            (top, left)
            for top in range(0, marked.shape[0] - height + 1, step)
            for left in range(0, marked.shape[1] - width + 1, step)
        ]
        counts = [
            sums[y + height, x + width] - sums[y, x + width] - sums[y + height, x] + sums[y, x]
            for y, x in corners
        ]
        top, left = corners[int(np.argmax(counts))]
        place = (slice(top, top + height), slice(left, left + width))
        blobs = {name: array[(slice(None), *place)] for name, array in view.blobs.items()}
        labels = {name: array[place] for name, array in view.labels.items()}
        return View(view.id, blobs, labels, int(max(counts)))

    def pass_on(self, view: View) -> bool:
        """Run the net on a picture; False if it does not fit."""
        height, width = next(iter(view.labels.values())).shape
        try:
            self.net = deployed(self.case, height, width)
            for blob in self.net.inputs:
                self.net.blobs[blob].data[0] = view.blobs[blob]
            self.net.forward()
        except (OSError, ValueError, KeyError, RuntimeError, MemoryError):
            return False
        self.count += 1
        self.dead = [
            name for name in self.dead if not self.net.blobs[self.rectifiers[name][0]].data.any()
        ]
        return True


def objects(labels: dict[str, np.ndarray]) -> np.ndarray:
    """Where a label has another class than most of its pixels, H x W."""
    label = next(iter(labels.values()))
    hist = np.bincount(label[label < VOID], minlength=1)
    return (label != hist.argmax()) & (label < VOID)


def rectifiers(net: prototxts.NetParameter) -> dict[str, tuple[str, str]]:
    """ReLU -> (its top, the layer whose top it rectifies), in the order of a pass."""
    found: dict[str, tuple[str, str]] = {}
    makers: dict[str, str] = {}
    for layer in net.layer:
        if layer.type == "ReLU" and not layer.relu_param.negative_slope:
            found[layer.name] = (layer.top[0], makers.get(layer.bottom[0], layer.bottom[0]))
        for top in layer.top:
            if top not in layer.bottom:
                makers[top] = layer.name
    return found


def deployed(case: Case, height: int, width: int) -> caffe.Net:
    """The test net without data and losses, which shares the train net's weights."""
    form = prototxts.deploy(case.nets[TEST], height, width)
    for layer in form.layer:  # fillers would draw numbers that the training draws otherwise
        for kind in ("convolution_param", "inner_product_param"):
            if layer.HasField(kind):
                getattr(layer, kind).ClearField("weight_filler")
                getattr(layer, kind).ClearField("bias_filler")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "deploy.prototxt"
        path.write_text(prototxts.text_of(form))
        net = caffe.Net(str(path), caffe.TEST)
    assert case.net is not None
    net.share_with(case.net)
    return net
