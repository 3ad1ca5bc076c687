"""Scale pyramid and local jet as convolutional layers with fixed weights, beside what a net has learned.

    python examples/history/pyramid_and_jet.py [photo.jpg]

P. Burt and E. Adelson, *The Laplacian Pyramid as a Compact Image Code*, 1983: REDUCE and EXPAND are a
convolution and a deconvolution of stride 2. J. Koenderink and A. van Doorn, *Representation of Local Geometry
in the Visual System*, 1987: the derivatives at a place, up to an order, smoothed. FCN's learned counterparts
are its poolings and its skips (the "deep jet"). Writes pyramid_and_jet.png.
"""

import argparse
import tempfile
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

import caffe
from caffe import layers as L
from caffe import params as P

A = 0.4  # Burt and Adelson's: the weights are near to a Gaussian
TAPS = np.array([1 / 4 - A / 2, 1 / 4, A, 1 / 4, 1 / 4 - A / 2])
LEVELS, ORDER, SIGMA = 4, 2, 2.0
JET = [
    (x, total - x) for total in range(ORDER + 1) for x in range(total, -1, -1)
]  # orders in x and y


def build(n: caffe.NetSpec) -> caffe.Net:
    """The net of a NetSpec."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "net.prototxt")
        path.write_text(str(n.to_proto()))
        return caffe.Net(str(path), caffe.TEST)


# ---- the pyramid


def pyramid(height: int, width: int) -> caffe.Net:
    """A net that gives the levels of a picture (gauss1 ...), their differences (laplace0 ...) and their sum.

    The sum is `again0`. Each level but the last is the picture's, half as large as the one before.
    """
    n = caffe.NetSpec()
    n.data = L.Input(shape=dict(dim=[1, 1, height, width]))
    blur = dict(num_output=1, kernel_size=5, stride=2, bias_term=False)
    levels = [n.data]
    for i in range(1, LEVELS):
        n[f"gauss{i}"] = L.Convolution(levels[-1], pad=2, **blur)
        levels.append(n[f"gauss{i}"])
    total = levels[-1]
    for i in reversed(range(LEVELS - 1)):
        n[f"laplace{i}"] = minus(levels[i], expanded(n, f"expand{i}", levels[i + 1], levels[i]))
        total = n[f"again{i}"] = L.Eltwise(
            n[f"laplace{i}"], expanded(n, f"expand_again{i}", total, levels[i])
        )
    net = build(n)
    for name, blobs in net.params.items():
        blobs[0].data[...] = np.outer(TAPS, TAPS) * (4 if "expand" in name else 1)
    return net


def expanded(n: caffe.NetSpec, name: str, small: object, large: object) -> object:
    """EXPAND: a level at the size of the one before."""
    settings = dict(num_output=1, kernel_size=5, stride=2, bias_term=False)
    n[f"{name}_up"] = L.Deconvolution(small, convolution_param=settings)
    n[name] = L.Crop(n[f"{name}_up"], large, axis=2, offset=2)
    return n[name]


def minus(first: object, second: object) -> object:
    """The difference of two blobs."""
    return L.Eltwise(first, second, operation=P.Eltwise.SUM, coeff=[1, -1])


# ---- the jet


def derivatives(order: int, radius: int) -> np.ndarray:
    """The derivative of a Gaussian, of an order up to 2, at the places from -radius to radius."""
    x = np.arange(-radius, radius + 1)
    gauss = np.exp(-(x**2) / (2 * SIGMA**2))
    gauss /= gauss.sum()
    factors = (np.ones_like(gauss), x / SIGMA**2, x**2 / SIGMA**4 - 1 / SIGMA**2)
    found = gauss * factors[order]
    return found - gauss * found.sum() if order else found  # an even picture has no derivative


def jet(height: int, width: int) -> caffe.Net:
    """A net whose `jet` has a channel a derivative, in the order of JET."""
    n, radius = caffe.NetSpec(), int(4 * SIGMA)
    n.data = L.Input(shape=dict(dim=[1, 1, height, width]))
    size = dict(kernel_size=2 * radius + 1, pad=radius)
    n.jet = L.Convolution(n.data, num_output=len(JET), bias_term=False, **size)
    net = build(n)
    # A convolution of Caffe's is a correlation, so that the kernels stand as derivatives of what they meet
    kernels = [np.outer(derivatives(y, radius), derivatives(x, radius)) for x, y in JET]
    net.params["jet"][0].data[:, 0] = kernels
    return net


def along(maps: np.ndarray, angle: float) -> np.ndarray:
    """The first derivative in a direction, by those in x and in y: the jet can be steered."""
    return np.cos(angle) * maps[JET.index((1, 0))] + np.sin(angle) * maps[JET.index((0, 1))]


def run(net: caffe.Net, picture: np.ndarray) -> caffe.Net:
    """The net, once it has seen a picture."""
    net.blobs["data"].data[0, 0] = picture
    net.forward()
    return net


def main() -> None:
    """Compute both for a picture, check what they promise, and draw them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "picture", nargs="?", type=Path, help="(default: a photograph of scikit-learn's)"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("pyramid_and_jet.png"), help="(%(default)s)"
    )
    args = parser.parse_args()
    caffe.init_log(1)
    if args.picture is None:
        from sklearn.datasets import load_sample_image

        photo = Image.fromarray(load_sample_image("china.jpg"))
    else:
        photo = Image.open(args.picture)
    photo.thumbnail((320, 320))
    picture = np.asarray(photo.convert("L"), np.float32) / 255
    levels = run(pyramid(*picture.shape), picture).blobs
    maps = run(jet(*picture.shape), picture).blobs["jet"].data[0]
    apart = np.abs(levels["again0"].data[0, 0] - picture).max()
    print(f"the sum of the Laplacian pyramid is the picture to {apart:.1e}")
    draw(picture, levels, maps, args.out)
    print(f"wrote {args.out}")


def draw(picture: np.ndarray, levels: dict, maps: np.ndarray, path: Path) -> None:
    """The levels, the differences between them, and the jet."""
    rows = [
        [("level 0", picture)]
        + [(f"level {i}", levels[f"gauss{i}"].data[0, 0]) for i in range(1, LEVELS)],
        [(f"difference {i}", levels[f"laplace{i}"].data[0, 0]) for i in range(LEVELS - 1)]
        + [("their sum", levels["again0"].data[0, 0])],
        [(f"d{x + y}: {'x' * x}{'y' * y}", maps[k]) for k, (x, y) in enumerate(JET) if x + y][:3]
        + [("along 45 degrees", along(maps, np.pi / 4))],
    ]
    figure, axes = plt.subplots(3, LEVELS, figsize=(11, 7))
    for axis, (title, values) in zip(axes.flat, (cell for row in rows for cell in row)):
        axis.imshow(values, cmap="gray")
        axis.set_title(title, fontsize=9)
        axis.set_axis_off()
    figure.tight_layout()
    figure.savefig(path, dpi=90)


if __name__ == "__main__":
    main()
