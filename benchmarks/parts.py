"""FCN-8s forward of our engine alone, with one of its parts left out at a time: what each is worth."""

from statistics import median
from unittest import mock

import caffe
from caffe.kernels import library

from . import contest, fcn8s, peers

WARM = 1


def as_it_is(net):
    """The forward as it is."""
    net._forward(0, len(net.layers) - 1)


def whole_maps(net):
    """Every map in full, as after a change of size: nothing is kept from one picture to the next."""
    net._running.groups.forget()
    as_it_is(net)


def without_kernels(net):
    """By PyTorch's kernels alone: direct sums, in the windows that pictures reach."""
    with mock.patch.object(library, "available", lambda: False):
        as_it_is(net)


def simple_path(net):
    """Layer by layer, as training would, by PyTorch's kernels alone."""
    with mock.patch.object(library, "available", lambda: False):
        list(net._run_all(0, len(net.layers) - 1))
        net._running.groups.forget()


PARTS = {
    contest.OURS: as_it_is,
    "maps not kept": whole_maps,
    "PyTorch's kernels": without_kernels,
    "neither": simple_path,
}


def parts(options, folder):
    """Median seconds a picture of one size."""
    contestants = []
    for name, run in PARTS.items():
        net = caffe.Net(
            str(folder / "fcn8s.prototxt"), str(folder / "fcn8s.caffemodel"), caffe.TEST
        )

        def forward(x, net=net, run=run):
            net.blobs["data"].reshape(*x.shape)
            net.blobs["data"].data[...] = x
            run(net)
            return net.blobs["score"].data

        ready = lambda: peers.switch(contest.OURS, "float32")  # noqa: E731
        contestants.append(contest.Contestant(name, "float32", forward, ready))
    height, width = options.size
    pictures = (x for x, _ in fcn8s.pictures(height, width, options.runs + WARM))
    rows = contest.compete(contestants, pictures, WARM, median)
    title = f"parts: FCN-8s forward, {height}x{width}, ours with a part left out, median of {options.runs}"
    return {"title": title, "unit": "s", "rows": rows, "left_out": {}, "targets": ()}
