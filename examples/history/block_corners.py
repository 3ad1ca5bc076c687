"""Find a block of handwritten digits in a picture by the heat maps of its four corners.

    python examples/history/block_corners.py

R. Wolf and J. Platt, *Postal Address Block Location Using a Convolutional Locator Network*, NIPS 1994: a
convolutional net has an output map for each kind of corner, and the four largest places together are the
block. Writes block_corners.png.
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
from fcn.datasets.sample.scenes import digits, ink

HEIGHT, WIDTH, CELL = 96, 128, 4  # of a picture; pixels of a place in the heat maps
BATCH, STEPS = 8, 700
FILLER = dict(weight_filler=dict(type="msra"))
CORNERS = ("upper left", "upper right", "lower left", "lower right")


def picture(rng: np.random.RandomState, role: str) -> tuple[np.ndarray, np.ndarray]:
    """(H x W of 0 to 1, the four corners as (y, x)): rows of digits, among lone digits that are no block."""
    tiles, _ = digits(role)
    page = 0.1 * rng.rand(HEIGHT, WIDTH).astype(np.float32)
    side = rng.randint(9, 14)
    rows, columns = rng.randint(2, 4), rng.randint(4, 7)
    y = rng.randint(2, HEIGHT - rows * (side + 2) - 1)
    x = rng.randint(2, WIDTH - columns * side - 1)
    for row in range(rows):
        for column in range(columns):
            drawn = ink(tiles[rng.randint(len(tiles))], side)
            top, left = y + row * (side + 2), x + column * side
            spot = page[top : top + side, left : left + side]
            np.maximum(spot, drawn, out=spot)
    bottom, right = y + rows * (side + 2) - 2, x + columns * side
    for _ in range(3):  # what is no block: digits far from it
        drawn = ink(tiles[rng.randint(len(tiles))], side)
        v, u = rng.randint(HEIGHT - side), rng.randint(WIDTH - side)
        if v + side < y - 8 or v > bottom + 8 or u + side < x - 8 or u > right + 8:
            spot = page[v : v + side, u : u + side]
            np.maximum(spot, drawn, out=spot)
    return page, np.array([(y, x), (y, right), (bottom, x), (bottom, right)], np.float32)


def heat(corners: np.ndarray) -> np.ndarray:
    """4 x h x w: 1 at a corner's place, and less around it."""
    ys, xs = np.mgrid[: HEIGHT // CELL, : WIDTH // CELL] * CELL + (CELL - 1) / 2
    far = (ys - corners[:, 0, None, None]) ** 2 + (xs - corners[:, 1, None, None]) ** 2
    return np.exp(-far / (2 * 3.0**2))


def locator(n: caffe.NetSpec) -> None:
    """The net: fine features, then ever wider views at a fourth of the size; a map a corner, `score`."""
    x = n.data
    for name, outputs, kernel, stride in (
        ("conv1", 12, 5, 2),
        ("conv2", 24, 5, 2),
        ("conv3", 32, 7, 1),
        ("conv4", 32, 7, 1),
        ("conv5", 32, 7, 1),
    ):
        shape = dict(num_output=outputs, kernel_size=kernel, stride=stride, pad=kernel // 2)
        n[name] = L.Convolution(x, **shape, **FILLER)
        x = n[f"relu_{name}"] = L.ReLU(n[name], in_place=True)
    n.score = L.Convolution(x, num_output=4, kernel_size=1, **FILLER)


def trained(folder: Path, rng: np.random.RandomState) -> caffe.Net:
    """The net, trained on drawn pictures."""
    n = caffe.NetSpec()
    n.data = L.Input(shape=dict(dim=[BATCH, 1, HEIGHT, WIDTH]))
    n.heat = L.Input(shape=dict(dim=[BATCH, 4, HEIGHT // CELL, WIDTH // CELL]))
    locator(n)
    n.loss = L.SigmoidCrossEntropyLoss(n.score, n.heat)
    (folder / "train.prototxt").write_text(str(n.to_proto()))
    (folder / "solver.prototxt").write_text(
        f'train_net: "{folder}/train.prototxt" type: "Adam" base_lr: 0.001 momentum: 0.9 momentum2: 0.999 '
        f'delta: 1e-8 lr_policy: "step" gamma: 0.2 stepsize: {STEPS * 4 // 5} random_seed: 1'
    )
    solver = caffe.get_solver(str(folder / "solver.prototxt"))
    for _ in range(STEPS):
        pages, corners = zip(*(picture(rng, "train") for _ in range(BATCH)))
        solver.net.blobs["data"].data[:, 0] = pages
        solver.net.blobs["heat"].data[...] = [heat(each) for each in corners]
        solver.step(1)
    return solver.net


def found(net: caffe.Net, page: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(the corners (y, x), to a fraction of a place; the heat maps) of a picture."""
    net.blobs["data"].data[0, 0] = page
    net.forward()
    maps = net.blobs["score"].data[0].copy()
    corners = []
    for scores in maps:
        y, x = np.unravel_index(scores.argmax(), scores.shape)
        rows, columns = (
            slice(max(0, at - 1), min(at + 2, side)) for at, side in zip((y, x), scores.shape)
        )
        near = 1 / (1 + np.exp(-scores[rows, columns]))
        ys, xs = np.mgrid[rows, columns]
        corners.append([(near * at).sum() / near.sum() * CELL + (CELL - 1) / 2 for at in (ys, xs)])
    return np.array(corners), maps


def main() -> None:
    """Train, locate, print the share of corners that are within 3 pixels, and draw some."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=200, help="(%(default)s)")
    parser.add_argument("--out", type=Path, default=Path("block_corners.png"), help="(%(default)s)")
    args = parser.parse_args()
    caffe.init_log(1)
    rng = np.random.RandomState(0)
    with tempfile.TemporaryDirectory() as place:
        net = trained(Path(place), rng)
    far = []
    for _ in range(args.pictures):
        page, corners = picture(rng, "infer")
        far.append(np.abs(found(net, page)[0] - corners).max(1))
    print(f"{np.mean(np.array(far) <= 3):.1%} of {4 * args.pictures} corners are found to 3 pixels")
    draw(net, rng, args.out)
    print(f"wrote {args.out}")


def draw(net: caffe.Net, rng: np.random.RandomState, path: Path) -> None:
    """Some pictures with what is found, above the heat map of the upper left corner."""
    figure, axes = plt.subplots(2, 3, figsize=(9, 4.6))
    for above, below in axes.T:
        page, _ = picture(rng, "infer")
        corners, maps = found(net, page)
        above.imshow(page, cmap="gray_r")
        outline = corners[[0, 1, 3, 2, 0]]
        above.plot(outline[:, 1], outline[:, 0], "r-")
        below.imshow(maps[0], cmap="viridis")
        below.set_title(CORNERS[0], fontsize=8)
        for axis in (above, below):
            axis.set_axis_off()
    figure.tight_layout()
    figure.savefig(path, dpi=100)


if __name__ == "__main__":
    main()
