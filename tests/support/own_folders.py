"""Writes folders of pictures and masks as users have them, and runs `fcn new` on them."""

import json

import numpy as np
from PIL import Image

from fcn.cli import main
from fcn.datasets.registry import own_readers

COLOURS = np.array([[0, 0, 0], [200, 30, 60], [10, 180, 90], [30, 60, 220]], np.uint8)  # of classes
SIZE = (24, 30)


def scene(k, classes=3, size=SIZE):
    """(H x W x 3 RGB, H x W classes): a rectangle of each class; another for each k."""
    rng = np.random.RandomState(k)
    labels = np.zeros(size, np.uint8)
    for number in range(1, classes):
        y, x = rng.randint(size[0] - 8), rng.randint(size[1] - 8)
        labels[y : y + 4 + k % 5, x : x + 8] = number
    pixels = COLOURS[labels].astype(int) + rng.randint(0, 30, (*size, 3))
    return pixels.clip(0, 255).astype(np.uint8), labels


def write(folder, names, save, classes=3, ending=".png", picture=".jpg", end="", scale=1):
    """Write pictures/NAME and masks/NAME, masks by `save(labels, path)`; returns name -> labels."""
    found = {}
    for k, name in enumerate(names):
        pixels, labels = (array.repeat(scale, 0).repeat(scale, 1) for array in scene(k, classes))
        for path in (folder / f"pictures/{name}{picture}", folder / f"masks/{name}{end}{ending}"):
            path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / f"pictures/{name}{picture}")
        save(labels, folder / f"masks/{name}{end}{ending}")
        found[name] = labels
    return found


def grey(labels, path):
    """Values are classes."""
    Image.fromarray(labels).save(path)


def colours(labels, path):
    """RGB."""
    Image.fromarray(COLOURS[labels]).save(path)


def palette(labels, path):
    """Values are classes, in colours."""
    image = Image.fromarray(labels, "P")
    image.putpalette(COLOURS.tobytes())
    image.save(path)


def values(*table):
    """A saver of grey masks in which class k has the value table[k]."""
    return lambda labels, path: Image.fromarray(np.array(table)[labels].astype(np.uint8)).save(path)


def labelme(*names):
    """A saver of LabelMe files: a rectangle around each class but the first."""

    def save(labels, path):
        shapes = [
            {"label": name, "shape_type": "polygon", "points": corners(labels == k)}
            for k, name in enumerate(names, 1)
            if (labels == k).any()
        ]
        height, width = labels.shape
        content = {"shapes": shapes, "imageHeight": height, "imageWidth": width}
        path.write_text(json.dumps(content | {"imagePath": "elsewhere.jpg", "imageData": None}))

    return save


def corners(inside):
    """The corners of the box around pixels, as (x, y)."""
    rows, columns = np.nonzero(inside)
    top, left, bottom, right = rows.min(), columns.min(), rows.max() + 1, columns.max() + 1
    return [
        [int(x), int(y)] for x, y in ((left, top), (right, top), (right, bottom), (left, bottom))
    ]


def new(folder, *arguments, capsys=None):
    """(exit code, all that was printed) of `fcn new FOLDER/mine` on FOLDER's pictures and masks."""
    given = [*map(str, arguments)]
    if "--images" not in given:
        given += ["--images", str(folder / "pictures")]
    if "--masks" not in given:
        given += ["--masks", str(folder / "masks")]
    status = main(["new", str(folder / "mine"), *given])
    return status, "".join(capsys.readouterr()) if capsys else ""


def read_back(folder):
    """Name -> labels, as the nets of FOLDER/mine read them."""
    return {
        id: layer.load("label", id)[0]
        for _, layer in own_readers(folder / "mine")
        for id in layer.read_split()
    }


def same(folder, truth):
    """Fail unless the nets of FOLDER/mine read this."""
    found = read_back(folder)
    assert found.keys() == truth.keys()
    for name, labels in truth.items():
        np.testing.assert_array_equal(found[name], labels)


def classes(folder):
    """The names of FOLDER/mine's classes."""
    return (folder / "mine/classes.txt").read_text().splitlines()


def refused(folder, *arguments, capsys):
    """What is said; nothing is made, and nothing half made is left."""
    before = sorted(folder.rglob("*"))
    status, out = new(folder, *arguments, capsys=capsys)
    assert status == 2 and "Traceback" not in out and "should not happen" not in out, out
    assert before == sorted(folder.rglob("*"))
    return out
