"""Faster R-CNN and Fast R-CNN on PASCAL VOC, of VGG-16 and of ZF, and on the embedded task."""

import argparse
from pathlib import Path

from fcn.datasets.sample import MEAN
from fcn.detection.nets import Size, fast_rcnn, faster_rcnn
from fcn.prototxts import NetParameter, text_of

VGG16 = Size(21)
ZF = Size(21, rpn=256, pooled=6)
# Digits are 56 to 112 pixels high and 20 to 80 wide. The body and fc6 are those of the embedded task's
# classifier, an eighth as wide, which sees 4x4 cells.
NUMBERS = dict(
    scale=180,
    pixel_means=MEAN,
    rpn_pre_nms_top_n=300,
    rpn_post_nms_top_n=60,
    rpn_batchsize=64,
    batch_size=32,
    ims_per_batch=1,
)
SAMPLE = Size(11, rpn=64, fc=512, pooled=4, narrow=8, drop=0, scales=(3, 4, 5), numbers=NUMBERS)


def nets(sample: bool = False) -> dict[str, NetParameter]:
    """File stem -> net."""
    found = {}
    for split in ("train", "test"):
        size = SAMPLE if sample else VGG16
        found[split] = faster_rcnn(split, size)
        found[f"fast_{split}"] = fast_rcnn(split, size)
        if not sample:
            found[f"zf_{split}"] = faster_rcnn(split, ZF, "zf")
            found[f"zf_fast_{split}"] = fast_rcnn(split, ZF, "zf")
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="write this system's prototxts")
    parser.add_argument("--sample", action="store_true", help="those of the embedded task")
    args = parser.parse_args()
    folder = Path(__file__).resolve().parent / ("sample" if args.sample else "")
    for stem, net in nets(args.sample).items():
        path = folder / f"{stem}.prototxt"
        path.write_text(text_of(net))
        print(f"wrote {path}")
