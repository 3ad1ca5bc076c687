"""Scoring end to end, as score.py does it: decode pictures and labels, forward, histogram.

The pictures are JPEGs and palette PNGs in a VOC tree made on the fly, at VOC's sizes. Ours is
`score.compute_hist` on voc-fcn8s's val net with its own data layer; the peer is the same in eager
PyTorch, one thing after the other, with the same readers.
"""

import ast
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from google.protobuf import text_format
from PIL import Image
from sklearn.datasets import load_sample_images

import caffe
import score
from fcn.datasets.sample.draw import FILES, save_palette
from fcn.datasets.voc import VOCSegDataLayer

from . import contest, fcn8s, peer_torch, peers
from .contest import OURS, Contestant

BLOCK = 10  # pictures a turn
SHARE = 0.95  # of the time of scoring, at least, that should be the net's
TOLERANCE = 1e-3  # share of the pixels that may fall into another class: ties, but for rounding
SPLIT = "seg11valid"


def scoring(options, folder):
    """Seconds for 10 pictures a run, in turns of 10; and which share of ours is the net's forward.

    Counted as the net's is the time inside `net.forward`, less what the data layer takes of it: its
    waiting for the picture and its copying. All the rest of the loop is not the net's.
    """
    with tempfile.TemporaryDirectory() as made:
        write_tree(Path(made), options.runs * BLOCK)
        net = val_net(Path(made), folder, options.narrow)
        clock = Clock(net)
        contestants = [
            Contestant(OURS, "float32", lambda ids: score.compute_hist(net, False, ids)[0]),
            peer(Path(made), folder, options.device),
        ]
        peers.switch(OURS, "float32")
        ids = net.layers[0].indices
        blocks = [ids[at : at + BLOCK] for at in range(0, len(ids), BLOCK)]
        rows = contest.compete(contestants, blocks, reduce=sum, difference=moved)
    rows = [row | {"tolerance": TOLERANCE} for row in rows]
    share = clock.seconds / rows[0]["value"]
    wanted = f"the net's forward is at least {SHARE:.0%} of scoring"
    return {
        "title": f"scoring: {len(ids)} pictures of VOC's sizes, decode, forward, histogram",
        "unit": "s",
        "rows": rows,
        "left_out": {},
        "forward_share": share,
        "targets": [contest.verdict(wanted, share, SHARE, share >= SHARE)],
    }


def write_tree(folder, count):
    """A VOC tree: crops of photographs enlarged, labels of random blocks with void between them."""
    rng = np.random.RandomState(0)
    photos = [Image.fromarray(image).resize((1280, 854)) for image in load_sample_images().images]
    ids = [f"2007_{i:06}" for i in range(count)]
    picture, label, split = (folder / path for path in FILES["voc"])
    for path in (picture, label, split):
        path.parent.mkdir(parents=True)
    for i, id in enumerate(ids):
        height, width = fcn8s.SIZES[i % len(fcn8s.SIZES)]
        x, y = rng.randint(1280 - width), rng.randint(854 - height)
        crop = photos[i % len(photos)].crop((x, y, x + width, y + height))
        crop.save(str(picture).format(id), quality=95)
        blocks = rng.randint(0, 21, (height // 25 + 1, width // 25 + 1)).repeat(25, 0).repeat(25, 1)
        save_palette(str(label).format(id), blocks[:height, :width].astype(np.uint8))
    Path(str(split).format(SPLIT)).write_text("".join(f"{id}\n" for id in ids))


def val_net(tree, folder, narrow):
    """voc-fcn8s's val net as it is, reading that tree."""
    param = fcn8s.read("val", narrow)
    given = ast.literal_eval(param.layer[0].python_param.param_str)
    given |= {"voc_dir": str(tree), "split": SPLIT}
    param.layer[0].python_param.param_str = repr(given)
    path = tree / "val.prototxt"
    path.write_text(text_format.MessageToString(param))
    return caffe.Net(str(path), str(folder / "fcn8s.caffemodel"), caffe.TEST)


class Clock:
    """`seconds` that a net spends in forward outside of its data layer."""

    def __init__(self, net):
        self.seconds = 0.0
        self.count(net, "forward", +1)
        self.count(net.layers[0], "reshape", -1)
        self.count(net.layers[0], "forward", -1)

    def count(self, owner, name, sign):
        call = getattr(owner, name)

        def counted(*args, **kwargs):
            begin = time.perf_counter()
            result = call(*args, **kwargs)
            if torch.cuda.is_initialized():
                torch.cuda.synchronize()
            self.seconds += sign * (time.perf_counter() - begin)
            return result

        setattr(owner, name, counted)


def peer(tree, folder, device):
    """Eager PyTorch, picture by picture."""
    mean = ast.literal_eval(fcn8s.read("val").layer[0].python_param.param_str)["mean"]
    reader = VOCSegDataLayer.reader(voc_dir=str(tree), split=SPLIT, mean=mean)
    run = peer_torch.eager(folder, "float32", None, device)

    def hist(ids):
        total = np.zeros((21, 21), np.int64)
        for id in ids:
            prediction = run(reader.load_image(id)[None])[0].argmax(0)
            total += score.fast_hist(reader.load_label(id).ravel(), prediction.ravel(), 21)
        return total

    return Contestant(*contest.REFERENCE, hist)


def moved(a, b):
    """The share of all pixels that two histograms count differently."""
    return float(np.abs(a - b).sum() / 2 / b.sum())
