"""One layer without a net, and its gradient held against central differences in float64."""

import contextlib

import numpy as np
from google.protobuf import text_format

import caffe
from caffe import context
from caffe.blob import Blob, BoolVec, RawBlobVec
from caffe.layer import check_counts, layer_class
from caffe.proto import caffe_pb2

SEED = 1701


class Layers:
    """A layer from its prototxt's body, built on bottoms of given shapes: setup and reshape are done.

    Parameters that the prototxt's fillers leave constant are given random values.
    """

    def __init__(self, text, shapes=(), tops=1, phase=caffe.TRAIN, in_place=False):
        param = caffe_pb2.LayerParameter(name="l", phase=phase)
        text_format.Merge(text, param)
        self.layer = layer_class(param)(param)
        self.bottom = RawBlobVec(Blob(shape) for shape in shapes)
        self.top = RawBlobVec([self.bottom[0]] if in_place else [Blob(()) for _ in range(tops)])
        check_counts(self.layer, len(self.bottom), len(self.top))
        self.layer.setup(self.bottom, self.top)
        self.layer.reshape(self.bottom, self.top)
        self.layer.param_propagate_down = [True] * len(self.layer.blobs)

    def forward(self):
        caffe.set_random_seed(SEED)  # Dropout drops the same cells each time
        self.layer.reshape(self.bottom, self.top)
        self.layer.forward(self.bottom, self.top)
        return [top.data for top in self.top]

    def backward(self, propagate_down=None):
        if propagate_down is None:
            propagate_down = [self.layer.allow_force_backward(i) for i in range(len(self.bottom))]
        self.layer.backward(self.top, BoolVec(propagate_down), self.bottom)

    def randomize(self, generator, low=-1.0, high=1.0):
        """Distinct values, evenly spread and shuffled, in bottoms and parameters: no ties, no zeros."""
        for blob in [*self.bottom, *self.layer.blobs]:
            values = np.linspace(low, high, blob.count + 2)[1:-1] if blob.count else np.empty(0)
            blob.data[...] = generator.permutation(values + 1e-3).reshape(blob.data.shape)


def check(
    text,
    shapes,
    *,
    values=(),
    tops=1,
    bottoms=None,
    low=-1.0,
    high=1.0,
    step=1e-5,
    tolerance=1e-6,
    in_place=False,
    phase=caffe.TRAIN,
):
    """Numeric against written-out gradients of F = <random, tops>, for every element of every bottom
    in `bottoms` (default: those that take gradients) and of every parameter.

    `values` replaces the random ones of a bottom: {index: array}. Also checked: parameter diffs add up
    over two backwards, bottom diffs do not, and a bottom that is not to be propagated to stays as it is.
    """
    generator = np.random.default_rng(SEED)
    with context.double_precision():
        run = Layers(text, shapes, tops, phase, in_place)
        run.randomize(generator, low, high)
        for index, array in dict(values).items():
            run.bottom[index].data[...] = array
        if bottoms is None:
            bottoms = [i for i in range(len(shapes)) if run.layer.allow_force_backward(i)]
        start = [blob.data.copy() for blob in run.bottom]
        weights = [generator.uniform(-1, 1, top.shape) for top in run.forward()]
        param = list(run.layer.blobs)
        flags = [i in bottoms for i in range(len(shapes))]

        def restore():
            for blob, array in zip(run.bottom, start):
                blob.data[...] = array

        def backward():
            restore()
            run.forward()
            for top, weight in zip(run.top, weights):
                top.diff[...] = weight
            run.backward(flags)

        def objective():
            restored = start if not in_place else None
            with contextlib.nullcontext(restored):
                return sum((w * y).sum() for w, y in zip(weights, run.forward()))

        for blob in param:
            blob.diff[...] = 0
        untouched = [i for i in range(len(shapes)) if not flags[i]]
        for i in untouched:
            run.bottom[i].diff[...] = 7
        backward()
        for i in untouched:
            assert (run.bottom[i].diff == 7).all(), f"bottom {i} was not to be propagated to"
        first = [run.bottom[i].diff.copy() for i in bottoms], [b.diff.copy() for b in param]
        backward()
        for i, before in zip(bottoms, first[0]):
            np.testing.assert_array_equal(run.bottom[i].diff, before, f"bottom {i} was added to")
        for i, before in enumerate(first[1]):
            np.testing.assert_allclose(
                param[i].diff, 2 * before, rtol=1e-12, atol=1e-14, err_msg=f"parameter {i}"
            )
        targets = [(f"bottom {i}", run.bottom[i], start[i], d) for i, d in zip(bottoms, first[0])]
        targets += [
            (f"parameter {i}", b, b.data.copy(), d) for (i, b), d in zip(enumerate(param), first[1])
        ]
        for name, blob, at, analytic in targets:
            for index in np.ndindex(at.shape):
                sides = []
                for sign in (1, -1):
                    restore()
                    blob.data[...] = at
                    blob.data[index] += sign * step
                    sides.append(objective())
                blob.data[...] = at
                numeric = (sides[0] - sides[1]) / (2 * step)
                scale = max(1.0, abs(numeric), abs(analytic[index]))
                assert abs(numeric - analytic[index]) <= tolerance * scale, (
                    f"{text}: {name}{list(index)}: analytic {analytic[index]}, numeric {numeric}, "
                    f"objectives {sides}"
                )
