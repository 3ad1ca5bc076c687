"""LeNet on scikit-learn's handwritten digits, by the command-line tools alone.

    python examples/digits.py <folder>

writes the pictures, their lists, the net and its solver, and says which commands to run there.
"""

import argparse
from pathlib import Path

import numpy as np
from known_nets import lenet
from PIL import Image
from sklearn.datasets import load_digits

import caffe
from caffe import layers as L
from caffe import params as P

COMMANDS = [
    ["convert_imageset", "-gray", *sizes, "pictures/", f"{split}.txt", f"{split}_lmdb"]
    for sizes in [("-resize_width=28", "-resize_height=28")]
    for split in ("train", "test")
] + [["train", "-solver", "solver.prototxt"]]

SOLVER = """\
net: "net.prototxt"
test_iter: 6
test_interval: {iterations}
test_initialization: false
base_lr: 0.02
lr_policy: "inv"
gamma: 0.0001
power: 0.75
momentum: 0.9
weight_decay: 0.0005
display: 20
max_iter: {iterations}
snapshot_prefix: "lenet"
solver_mode: CPU
random_seed: 1
"""


def prepare(folder, iterations=400):
    """Write everything; every fifth picture is for testing."""
    folder = Path(folder)
    (folder / "pictures").mkdir(parents=True, exist_ok=True)
    lists = {"train": [], "test": []}
    for i, (pixels, digit) in enumerate(zip(*load_digits(return_X_y=True))):
        picture = (pixels.reshape(8, 8) * (255 / 16)).astype(np.uint8)
        Image.fromarray(picture).save(folder / "pictures" / f"{i:04d}.png")
        lists["train" if i % 5 else "test"].append(f"{i:04d}.png {digit}\n")
    for split, lines in lists.items():
        (folder / f"{split}.txt").write_text("".join(lines))
    (folder / "net.prototxt").write_text(str(net()))
    (folder / "solver.prototxt").write_text(SOLVER.format(iterations=iterations))


def net():
    """LeNet on a Data layer a phase."""

    def digits(split, phase, batch):
        return L.Data(
            name="digits",
            ntop=2,
            include=dict(phase=phase),
            data_param=dict(source=f"{split}_lmdb", batch_size=batch, backend=P.Data.LMDB),
            transform_param=dict(scale=1 / 256),
        )

    test = caffe.NetSpec()
    test.data, test.label = digits("test", caffe.TEST, 60)
    train = caffe.NetSpec()
    train.data, train.label = digits("train", caffe.TRAIN, 64)
    lenet(train, 10)
    proto = train.to_proto()
    whole = type(proto)(name="LeNet", layer=[*test.to_proto().layer, *proto.layer])
    return whole


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", help="it is made, with pictures, lists, net and solver")
    folder = parser.parse_args().folder
    prepare(folder)
    print(f"cd {folder}")
    for command in COMMANDS:
        print("caffe", *command)
