"""python -m benchmarks.reading: what the data layer adds to a training step of 20 ms.

500 x 375 pictures in SBD's format; the step is a layer that sleeps, so that both cores are free to
read, as they are where a GPU computes. Beside it: the same net reading in the step itself.
"""

import os
import tempfile
import time
from pathlib import Path
from statistics import median

os.environ.setdefault("GLOG_minloglevel", "2")

import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_images

import caffe
from fcn.datasets.sample.draw import save_mat

STEP = 0.020
PICTURES, STEPS, ROUNDS = 20, 50, 4


class Sleep(caffe.Layer):
    """Stands in for a net on a GPU: its bottom is there, and STEP goes by."""

    def setup(self, bottom, top):
        pass

    def reshape(self, bottom, top):
        top[0].reshape(1)

    def forward(self, bottom, top):
        time.sleep(STEP)

    def backward(self, top, propagate_down, bottom):
        pass


def write_tree(folder, size=(375, 500)):
    """Write pictures of a size (H, W) of whole 25s, and labels, in SBD's format."""
    height, width = size
    rng = np.random.RandomState(0)
    images = load_sample_images().images
    (folder / "img").mkdir(parents=True)
    (folder / "cls").mkdir()
    for i in range(PICTURES):
        image = images[i % len(images)]
        y, x = rng.randint(image.shape[0] - height), rng.randint(image.shape[1] - width)
        crop = Image.fromarray(image[y : y + height, x : x + width])
        crop.save(folder / f"img/{i}.jpg", quality=95)
        classes = rng.randint(0, 21, (height // 25, width // 25))
        save_mat(folder / f"cls/{i}.mat", np.kron(classes, np.ones((25, 25))))
    (folder / "train.txt").write_text("".join(f"{i}\n" for i in range(PICTURES)))


def build(folder):
    """A net that reads them and works for STEP seconds."""
    n = caffe.NetSpec()
    params = dict(sbdd_dir=str(folder), split="train", mean=(104.0, 117.0, 123.0), seed=1337)
    n.data, n.label = caffe.layers.Python(
        module="voc_layers", layer="SBDDSegDataLayer", ntop=2, param_str=repr(params)
    )
    n.done = caffe.layers.Python(n.data, n.label, module="benchmarks.reading", layer="Sleep")
    (folder / "net.prototxt").write_text(str(n.to_proto()))
    return caffe.Net(str(folder / "net.prototxt"), caffe.TRAIN)


def milliseconds(call):
    """How long a call takes."""
    begin = time.perf_counter()
    call()
    return (time.perf_counter() - begin) * 1000


def main():
    """Print what reading costs a step."""
    with tempfile.TemporaryDirectory() as folder:
        write_tree(Path(folder))
        net = build(Path(folder))
        layer = net.layers[0]

        def in_the_step():
            layer.pending = {}  # nothing was read ahead
            net.forward()

        calls = {"sleep": lambda: time.sleep(STEP), "ahead": net.forward, "in step": in_the_step}
        times = {name: [] for name in calls}
        for _ in range(ROUNDS):
            for name, call in calls.items():
                times[name] += [milliseconds(call) for _ in range(STEPS)]
    bare = median(times["sleep"])
    for name in ("ahead", "in step"):
        each = median(times[name])
        print(
            f"read {name:8} {each:6.2f} ms a step, {each - bare:+5.2f} ms ({each / bare - 1:+.1%})"
        )


if __name__ == "__main__":
    main()
