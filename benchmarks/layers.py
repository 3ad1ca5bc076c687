"""Time of each layer of FCN-8s beside what this machine can do, measured in the same run."""

from statistics import median

import caffe
from caffe.running import roofline

from . import contest, fcn8s, peers

WARM = 1


def layers(options, folder):
    """Median milliseconds of each layer's forward, and of whole passes between."""
    paths = [str(folder / f"fcn8s.{end}") for end in ("prototxt", "caffemodel")]
    net = caffe.Net(*paths, caffe.TEST)
    peers.switch(contest.OURS, "float32")
    last = len(net.layers) - 1
    each, whole = [], []
    for turn, (x, _) in enumerate(fcn8s.pictures(*options.size, 2 * (options.runs + WARM))):
        net.blobs["data"].data[...] = x
        if turn % 2:
            whole.append(contest.timed(net._forward, 0, last)[0])
        else:
            each.append(roofline.forward_ms(net))
    millis = [median(own) for own in zip(*each[WARM:])]
    height, width = options.size
    record = {
        "title": f"layers: FCN-8s, {height}x{width}, float32, each layer's median of {options.runs}",
        "unit": "ms",
        "left_out": {},
        "targets": (),
    }
    whole_ms = 1e3 * median(whole[WARM:])
    record |= roofline.record(net, millis, whole_ms, roofline.forward_work, roofline.peak())
    return record | {"table": roofline.table(record)}
