"""NYUDv2 indoor scenes: colour, depth and HHA (Gupta et al.) with 40 classes.

Labels 0 to 39, void 255; on disk 1 to 40 with 0 for void. Classes: data/nyud/__init__.py.
"""

import numpy as np

from data.nyud import CLASSES
from seg_layer import SegDataLayer, centred

# A room's depth in millimetres has a median of metres, and the sensor sees ten of them: below, it is
# in metres or centimetres, above in tenths of millimetres or shifted bits.
MEDIAN_DEPTH = 400, 12000


class NYUDSegDataLayer(SegDataLayer):
    """Tops: those of color, depth, hha, label in `tops`. param_str: nyud_dir, split, tops; seed."""

    dataset = "nyud"
    required = ("nyud_dir", "split", "tops")
    classes = len(CLASSES)
    loaders = {
        "color": "load_image",
        "depth": "load_depth",
        "hha": "load_hha",
        "label": "load_label",
    }
    files = {
        "split": "{nyud_dir}/{split}.txt",
        "color": "{nyud_dir}/data/images/img_{id}.png",
        "depth": "{nyud_dir}/data/depth/img_{id}.png",
        "hha": "{nyud_dir}/data/hha/img_{id}.png",
        "label": "{nyud_dir}/segmentation/img_{id}.mat",
    }
    mean_bgr = np.array((116.190, 97.203, 92.318))
    mean_hha = np.array((132.431, 94.076, 118.477))
    mean_logd = 7.844  # of the natural logarithm of millimetres

    def configure(self, params):
        listed = isinstance(self.tops, list | tuple)
        if not listed or not set(self.tops) <= self.loaders.keys():
            known = ", ".join(self.loaders)
            raise self.fail(ValueError, f"tops must be a list of {known}; got {self.tops!r}")
        self.tops = {top: self.loaders[top] for top in self.tops}
        if "hha" in self.tops:
            folder = self.path("hha", 0).parent
            if not folder.is_dir():
                raise self.missing(f"no HHA pictures: folder {folder.absolute()} is not there")

    def load_image(self, idx):
        """3 x H x W float32, BGR minus mean."""
        return self.bgr("color", idx, self.mean_bgr)

    def load_depth(self, idx):
        """1 x H x W float32: log of the depth in millimetres minus its mean. 16-bit PNG."""
        with self.opened("depth", idx) as image:
            depth = np.asarray(image)
        try:
            return log_depth(depth)
        except ValueError as error:
            text = f"{self.path('depth', idx)}: {error} ({self.readme()})"
            raise self.fail(ValueError, text) from None

    def load_hha(self, idx):
        """3 x H x W float32: disparity, height, angle in the order stored (no swap), minus mean."""
        return centred(self.pixels("hha", idx), self.mean_hha)

    def load_label(self, idx):
        """1 x H x W uint8: 0 to 39, void 255."""
        return self.rotated_label(self.mat("label", idx, "segmentation"), "label", idx)


def log_depth(depth):
    """H x W millimetres as 1 x H x W float32: the logarithm minus its mean.

    ValueError for what cannot be a room's depth in millimetres, or has no logarithm.
    """
    depth = np.asarray(depth, np.float32)
    if depth.ndim != 2:
        raise ValueError(f"depth has {depth.shape[-1]} channels, not one")
    if not depth.all():
        zeros = int((depth == 0).sum())
        raise ValueError(
            f"depth is 0 at {zeros} pixels and has no logarithm there: take the filled-in depth"
        )
    median = np.median(depth)
    if not MEDIAN_DEPTH[0] <= median <= MEDIAN_DEPTH[1]:
        raise ValueError(f"median depth {median:g}: not in millimetres")
    return (np.log(depth) - np.float32(NYUDSegDataLayer.mean_logd))[np.newaxis]
