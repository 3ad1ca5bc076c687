"""BoxSup's alternation: masks from boxes, a net from the masks, better masks by the net, and so on."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

import caffe
from fcn.datasets.voc import SBDDSegDataLayer
from fcn.pictures import subtract_mean
from fcn.prototxts import data_layers, deploy, read_net, text_of
from fcn.vis import save_classes
from fcn.weak import boxes, labels

MASKS = "boxsup"  # the folder of the masks, in SBD's
TINY = 1e-10


class BoxMaskDataLayer(SBDDSegDataLayer):
    """Tops data, label as SBD's, but of the masks that were made from boxes, MASKS/ID.png in sbdd_dir."""

    files = {**SBDDSegDataLayer.files, "label": "{sbdd_dir}/" + MASKS + "/{id}.png"}

    def load_label(self, idx: str) -> np.ndarray:
        """1 x H x W uint8."""
        return self.checked_label(self.load_png_label("label", idx), "label", idx)


def sources(folder: Path) -> tuple[Any, dict[str, dict[str, Any]], Path]:
    """(a reader of the pictures, their weak labels, the folder of the masks) of `folder`'s train.prototxt."""
    _, params = data_layers(read_net(folder / "train.prototxt"))[0]
    sbd = folder / params["sbdd_dir"]
    path = labels.write(sbd, params["split"])
    reader: Any = SBDDSegDataLayer.reader(**{**params, "sbdd_dir": str(sbd)})
    return reader, labels.read(path, reader.read_split()), sbd / MASKS


def write_masks(folder: Path, net: Any = None) -> None:
    """Write the masks of all training pictures; by the regions alone, or by what a net says, too.

    Contradiction for boxes that lie outside of their pictures.
    """
    reader, records, out = sources(folder)
    out.mkdir(exist_ok=True)
    rng = np.random.RandomState(0)
    for id in tqdm(reader.read_split(), desc="masks of boxes", unit="", leave=False, disable=None):
        pixels = reader.load_rgb("data", id)
        labels.check(records[id], pixels.shape[:2])
        losses = None if net is None else losses_of(net, pixels, reader.mean)
        save_classes(boxes.mask(pixels, records[id]["boxes"], rng, losses), out / f"{id}.png")


def choose_again(net: Any, folder: Path) -> None:
    """Write the masks anew by what the net that is trained says of them."""
    with tempfile.TemporaryDirectory() as place:
        path = Path(place, "deploy.prototxt")
        path.write_text(text_of(deploy(read_net(folder / "val.prototxt"))))
        tested = caffe.Net(str(path), caffe.TEST)
    tested.share_with(net)
    write_masks(folder, tested)


def losses_of(net: Any, pixels: np.ndarray, mean: Any) -> np.ndarray:
    """-log P of each class at each pixel, C x H x W."""
    data = subtract_mean(pixels[:, :, ::-1], mean)
    net.blobs["data"].reshape(1, *data.shape)
    net.blobs["data"].data[0] = data
    net.forward()
    scores = net.blobs["score"].data[0].astype(np.float64)
    p = np.exp(scores - scores.max(0))
    return -np.log(np.maximum(p / p.sum(0), TINY))
