"""Read strings of handwritten digits with a net that was trained on single digits.

    python examples/history/digit_strings.py

O. Matan, C. Burges, Y. LeCun and J. Denker, *Multi-Digit Recognition Using a Space Displacement Neural
Network*, NIPS 1992: a classifier of one digit, run as a convolution, gives scores at each place of a string;
the best way through them is the string. Writes digit_strings.png.
"""

import argparse
import tempfile
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

import caffe
from caffe import layers as L
from caffe import params as P
from fcn.datasets.sample.scenes import digits, ink

SIDE, STRIDE = 28, 4  # pixels that the classifier sees; from one of its places to the next
NONE = 10  # the class of places where no digit is in the middle
SMALLEST, LARGEST = 22, 26  # side of a digit
BATCH, STEPS = 64, 1200
FILLER = dict(weight_filler=dict(type="msra"))


# ---- pictures


def single(rng: np.random.RandomState) -> tuple[np.ndarray, int]:
    """A digit alone, SIDE x SIDE, of 0 to 1, and its class: NONE where it is not in the middle."""
    tiles, values = digits("train")
    pick, size = rng.randint(len(values)), rng.randint(SMALLEST, LARGEST + 1)
    away = rng.rand() < 0.4
    shift = rng.choice([-1, 1]) * rng.randint(9, 26) if away else rng.randint(-3, 4)
    wide = np.zeros((SIDE, 3 * SIDE), np.float32)
    y, x = rng.randint(SIDE - size + 1), SIDE + (SIDE - size) // 2 + shift
    wide[y : y + size, x : x + size] = ink(tiles[pick], size)
    return wide[:, SIDE : 2 * SIDE], NONE if away else values[pick]


def string(rng: np.random.RandomState, length: int) -> tuple[np.ndarray, list[int]]:
    """Digits that no training saw, one beside the other: SIDE x W, and their classes."""
    tiles, values = digits("infer")
    parts, said = [np.zeros((SIDE, SIDE // 2), np.float32)], []
    for _ in range(length):
        pick, size = rng.randint(len(values)), rng.randint(SMALLEST, LARGEST + 1)
        part = np.zeros((SIDE, size + rng.randint(2, 8)), np.float32)
        y = rng.randint(SIDE - size + 1)
        part[y : y + size, :size] = ink(tiles[pick], size)
        parts.append(part)
        said.append(int(values[pick]))
    return np.concatenate([*parts, parts[0]], 1), said


# ---- nets


def lenet(n: caffe.NetSpec) -> None:
    """The classifier: two convolutions with pooling, two inner products."""
    n.conv1 = L.Convolution(n.data, num_output=12, kernel_size=5, **FILLER)
    n.pool1 = L.Pooling(n.conv1, pool=P.Pooling.MAX, kernel_size=2, stride=2)
    n.relu1 = L.ReLU(n.pool1, in_place=True)
    n.conv2 = L.Convolution(n.relu1, num_output=32, kernel_size=5, **FILLER)
    n.pool2 = L.Pooling(n.conv2, pool=P.Pooling.MAX, kernel_size=2, stride=2)
    n.relu2 = L.ReLU(n.pool2, in_place=True)
    n.ip1 = L.InnerProduct(n.relu2, num_output=80, **FILLER)
    n.relu3 = L.ReLU(n.ip1, in_place=True)
    n.ip2 = L.InnerProduct(n.relu3, num_output=NONE + 1, **FILLER)


def trained(folder: Path, rng: np.random.RandomState) -> caffe.Net:
    """The classifier, trained on single digits."""
    n = caffe.NetSpec()
    n.data = L.Input(shape=dict(dim=[BATCH, 1, SIDE, SIDE]))
    n.label = L.Input(shape=dict(dim=[BATCH]))
    lenet(n)
    n.loss = L.SoftmaxWithLoss(n.ip2, n.label)
    (folder / "train.prototxt").write_text(str(n.to_proto()))
    (folder / "solver.prototxt").write_text(
        f'train_net: "{folder}/train.prototxt" base_lr: 0.02 momentum: 0.9 weight_decay: 0.0005 '
        f'lr_policy: "step" gamma: 0.1 stepsize: {STEPS * 3 // 4} random_seed: 1'
    )
    solver = caffe.get_solver(str(folder / "solver.prototxt"))
    for _ in range(STEPS):
        pictures, labels = zip(*(single(rng) for _ in range(BATCH)))
        solver.net.blobs["data"].data[:, 0] = pictures
        solver.net.blobs["label"].data[...] = labels
        solver.step(1)
    return solver.net


def as_convolution(classifier: caffe.Net, folder: Path) -> caffe.Net:
    """The same net for strings of any length: inner products become convolutions, with their weights."""
    n = caffe.NetSpec()
    n.data = L.Input(shape=dict(dim=[1, 1, SIDE, SIDE]))
    lenet(n)
    net = n.to_proto()
    for name, kernel in (("ip1", (SIDE - 12) // 4), ("ip2", 1)):
        layer = next(each for each in net.layer if each.name == name)
        layer.type = "Convolution"
        layer.convolution_param.num_output = layer.inner_product_param.num_output
        layer.convolution_param.kernel_size.append(kernel)
        layer.ClearField("inner_product_param")
    (folder / "string.prototxt").write_text(str(net))
    made = caffe.Net(str(folder / "string.prototxt"), caffe.TEST)
    for name, blobs in classifier.params.items():
        for own, other in zip(made.params[name], blobs):
            own.data.flat = other.data.flat
    return made


def scores_of(net: caffe.Net, picture: np.ndarray) -> np.ndarray:
    """Logarithms of the classes' probabilities at each place of a string, places x classes."""
    net.blobs["data"].reshape(1, 1, *picture.shape)
    net.blobs["data"].data[0, 0] = picture
    net.forward()
    scores = net.blobs["ip2"].data[0, :, 0].T.astype(np.float64)
    return scores - np.logaddexp.reduce(scores, 1, keepdims=True)


# ---- the best way through the places


def read(scores: np.ndarray) -> list[int]:
    """The string of the likeliest way, by dynamic programming: a digit ends where a NONE follows."""
    best, came = scores[0].copy(), []
    for row in scores[1:]:
        ways = np.full((NONE + 1, NONE + 1), -np.inf)  # from, to
        ways[np.arange(NONE + 1), np.arange(NONE + 1)] = best
        ways[NONE], ways[:, NONE] = best[NONE], best
        came.append(ways.argmax(0))
        best = ways.max(0) + row
    way = [int(best.argmax())]
    for step in reversed(came):
        way.append(int(step[way[-1]]))
    way.reverse()
    return [at for before, at in zip([NONE, *way], way) if at not in (before, NONE)]


def main() -> None:
    """Train, read, print the shares that are right, and draw some strings."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--strings", type=int, default=300, help="of each length (%(default)s)")
    parser.add_argument("--out", type=Path, default=Path("digit_strings.png"), help="(%(default)s)")
    args = parser.parse_args()
    caffe.init_log(1)
    rng = np.random.RandomState(0)
    with tempfile.TemporaryDirectory() as place:
        classifier = trained(Path(place), rng)
        net = as_convolution(classifier, Path(place))
    for length in (1, 3, 5):
        right = 0
        for _ in range(args.strings):
            picture, said = string(rng, length)
            right += read(scores_of(net, picture)) == said
        print(
            f"strings of {length}: {right / args.strings:.1%} of {args.strings} are read without a mistake"
        )
    draw(net, rng, args.out)
    print(f"wrote {args.out}")


def draw(net: caffe.Net, rng: np.random.RandomState, path: Path) -> None:
    """Some strings, the probabilities at their places, and what is read."""
    figure, axes = plt.subplots(2, 3, figsize=(9, 3.4), height_ratios=(1, 2))
    for above, below in axes.T:
        picture, said = string(rng, 3)
        scores = scores_of(net, picture)
        above.imshow(picture, cmap="gray_r")
        above.set_axis_off()
        above.set_title(f"{said}: read as {read(scores)}", fontsize=9)
        below.imshow(np.exp(scores.T), aspect="auto", cmap="viridis")
        below.set_yticks(range(NONE + 1), [*map(str, range(NONE)), "none"], fontsize=6)
        below.set_xlabel("place", fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
