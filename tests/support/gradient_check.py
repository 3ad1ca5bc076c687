"""One layer without a net: its forward against a reference, its gradient against a numeric one."""

from dataclasses import dataclass, field

import numpy as np
from google.protobuf import text_format

import caffe
from caffe import context
from caffe.blob import Blob, BoolVec, RawBlobVec
from caffe.layer import check_counts, layer_class
from caffe.proto import caffe_pb2

SEED = 1701
STEP = 1e-5


def build(text, phase=caffe.TRAIN, tops=()):
    """A layer from its prototxt's body."""
    param = caffe_pb2.LayerParameter(name="l", phase=phase, top=tops)
    text_format.Merge(text, param)
    found = layer_class(param)
    return found.create(param) if param.type == "Python" else found(param)


class Layers:
    """A layer built on bottoms of given shapes: setup and reshape are done."""

    def __init__(self, text, shapes=(), tops=1, phase=caffe.TRAIN, in_place=False):
        self.layer = build(text, phase)
        self.bottom = RawBlobVec(Blob(shape) for shape in shapes)
        self.top = RawBlobVec([self.bottom[0]] if in_place else [Blob(()) for _ in range(tops)])
        check_counts(self.layer, len(self.bottom), len(self.top))
        self.layer.setup(self.bottom, self.top)
        self.layer.reshape(self.bottom, self.top)
        specs = [spec.lr_mult != 0 for spec in self.layer.layer_param.param]
        self.layer.param_propagate_down = (specs + [True] * len(self.layer.blobs))[
            : len(self.layer.blobs)
        ]

    @property
    def params(self):
        return self.layer.blobs

    def forward(self):
        caffe.set_random_seed(SEED)  # Dropout drops the same cells each time
        self.layer.reshape(self.bottom, self.top)
        self.layer.forward(self.bottom, self.top)
        self.layer.raise_deferred()
        return [top.data for top in self.top]

    def backward(self, propagate_down):
        self.layer.backward(self.top, BoolVec(propagate_down), self.bottom)

    def randomize(self, low, high, values):
        """Distinct values, evenly spread and shuffled, in bottoms and parameters: no ties, no kinks
        at 0; `values` replaces those of a bottom."""
        generator = np.random.default_rng(SEED)
        for i, blob in enumerate([*self.bottom, *self.params], 1):
            spread = np.linspace(low, high, blob.count + 2)[1:-1] + 1e-3 * i
            blob.data[...] = generator.permutation(spread).reshape(blob.data.shape)
        for index, array in values.items():
            self.bottom[index].data[...] = array
        return generator


@dataclass
class Case:
    """A row of a layer's table of tests.

    `reference(bottoms, params)` gives the top (or a list of tops) in NumPy; `values` are a
    bottom's, by its index, where random ones in low..high will not do; `gradients` the bottoms that
    get one (default: all that force_backward reaches).
    """

    text: str
    shapes: list = field(default_factory=list)
    reference: object = None
    values: dict = field(default_factory=dict)
    gradients: list | None = None
    tops: int = 1
    low: float = -1.0
    high: float = 1.0
    phase: int = caffe.TRAIN
    in_place: bool = False

    def __str__(self):
        words = self.text.replace("type:", "").replace('"', "").split()
        return "-".join(words) + ("-in_place" if self.in_place else "")

    def run(self):
        run = Layers(self.text, self.shapes, self.tops, self.phase, self.in_place)
        return run, run.randomize(self.low, self.high, self.values)


def check_reference(case, tolerance=1e-6):  # a prototxt holds numbers as float32
    """Forward in float64 equals the reference; the bottoms stay as they were, unless in place."""
    with context.double_precision():
        run, _ = case.run()
        bottoms = [blob.data.copy() for blob in run.bottom]
        params = [blob.data.copy() for blob in run.params]
        tops = run.forward()
        wanted = case.reference(bottoms, params)
        wanted = wanted if isinstance(wanted, list) else [wanted]
        assert len(wanted) == len(tops)
        for i, (w, y) in enumerate(zip(wanted, tops)):
            assert np.shape(w) == y.shape, f"top {i}"
            np.testing.assert_allclose(y, w, rtol=tolerance, atol=tolerance, err_msg=f"top {i}")
        for i, before in enumerate(bottoms[case.in_place :]):
            np.testing.assert_array_equal(run.bottom[i + case.in_place].data, before)


def check_gradient(case, tolerance=1e-6):
    """Numeric against written-out gradients of F = <random, tops>, for every element of every
    bottom that gets one and of every parameter. Parameter diffs must add up over two backwards,
    bottom diffs must not, and a bottom that is not to be propagated to must stay as it is."""
    with context.double_precision():
        run, generator = case.run()
        start = [blob.data.copy() for blob in run.bottom]
        weights = [generator.uniform(0.5, 1.5, top.shape) for top in run.forward()]
        chosen = case.gradients
        if chosen is None:
            chosen = [i for i in range(len(start)) if run.layer.allow_force_backward(i)]
        flags = [i in chosen for i in range(len(start))]

        def restore():
            for blob, array in zip(run.bottom, start):
                blob.data[...] = array

        def objective():
            return sum((w * y).sum() for w, y in zip(weights, run.forward()))

        def backward():
            restore()
            run.forward()
            for top, weight in zip(run.top, weights):
                top.diff[...] = weight
            run.backward(flags)

        backward()
        bottom_diffs = {i: run.bottom[i].diff.copy() for i in chosen}
        param_diffs = [blob.diff.copy() for blob in run.params]
        if not case.in_place:
            check_write_rules(run, flags, backward, bottom_diffs, param_diffs)
        targets = [(f"bottom {i}", run.bottom[i], diff) for i, diff in bottom_diffs.items()]
        targets += [
            (f"parameter {i}", blob, diff)
            for i, (blob, diff) in enumerate(zip(run.params, param_diffs))
            if run.layer.param_propagate_down[i]
        ]
        for name, blob, analytic in targets:
            for index in np.ndindex(analytic.shape):
                numeric = central_difference(blob, index, restore, objective)
                scale = max(1.0, abs(numeric), abs(analytic[index]))
                assert abs(numeric - analytic[index]) <= tolerance * scale, (
                    f"{name} {list(index)}: analytic {analytic[index]}, numeric {numeric}"
                )


def central_difference(blob, index, restore, objective):
    restore()
    at, sides = blob.data[index].copy(), []
    for side in (at + STEP, at - STEP):
        restore()
        blob.data[index] = side
        sides.append(objective())
    restore()
    blob.data[index] = at
    return (sides[0] - sides[1]) / (2 * STEP)


def check_write_rules(run, flags, backward, bottom_diffs, param_diffs):
    left_alone = [blob for blob, flag in zip(run.bottom, flags) if not flag]
    for blob in left_alone:
        blob.diff[...] = 7
    backward()
    for i, before in bottom_diffs.items():
        np.testing.assert_array_equal(run.bottom[i].diff, before, f"bottom {i} was added to")
    assigned = run.layer.type == "Scale" and run.layer.overwrites()  # against the rule, as in Caffe
    for i, (blob, before) in enumerate(zip(run.params, param_diffs)):
        passes = 1 if assigned and i == 0 and len(flags) == 1 else 2
        wanted = passes * before
        np.testing.assert_allclose(blob.diff, wanted, rtol=1e-12, atol=1e-13, err_msg=f"{i}")
    for blob in left_alone:
        assert (blob.diff == 7).all(), "a bottom that was not to be propagated to was written"
    if run.layer.type == "Scale" and run.params:
        return  # a learned Scale uses its bottom's diff as scratch, as in Caffe
    for blob in run.bottom:
        blob.diff[...] = 7
    run.backward([False] * len(run.bottom))
    for blob in run.bottom:
        assert (blob.diff == 7).all(), "a bottom that was not to be propagated to was written"
