"""Where the data sets are published: addresses and checksums of the sets' own pages and of the
libraries that fetch them, no copies of ours.
"""

from typing import NamedTuple

BERKELEY = "eecs.berkeley.edu/Research/Projects/CS/vision/grouping/semantic_contours"
VOC = "http://host.robots.ox.ac.uk/pascal/VOC"
CONTEXT = "cs.stanford.edu/~roozbeh/pascal-context"


class Source(NamedTuple):
    """One published file and where what is in it belongs."""

    file: str  # its name
    urls: tuple  # the address, then mirrors
    md5: str | None  # as published, if it was
    holds: str  # a folder in the archive by which its tree is known ("": a plain file)
    to: str  # where that tree goes, under data/


SOURCES = {
    "voc": (
        Source(
            "VOCtrainval_25-May-2011.tar",
            (f"{VOC}/voc2011/VOCtrainval_25-May-2011.tar",),
            "6c3384ef61512963050cb5d687e5bf1e",
            "JPEGImages",
            "pascal/VOC2011",
        ),
        Source(
            "benchmark.tgz",
            (f"https://www2.{BERKELEY}/benchmark.tgz", f"http://www.{BERKELEY}/benchmark.tgz"),
            "82b4d87ceb2ed10f6038a1cba92111cb",
            "cls",
            "sbdd/dataset",
        ),
    ),
    "nyud": (
        Source(
            "nyud.tar.gz",
            ("http://dl.caffe.berkeleyvision.org/nyud.tar.gz",),
            None,
            "segmentation",
            "nyud",
        ),
    ),
    "siftflow": (
        Source(
            "SiftFlowDataset.zip",
            ("http://www.cs.unc.edu/~jtighe/Papers/ECCV10/siftflow/SiftFlowDataset.zip",),
            None,
            "SemanticLabels",
            "sift-flow",
        ),
    ),
    "pascalcontext": (
        Source(
            "VOCtrainval_03-May-2010.tar",
            (f"{VOC}/voc2010/VOCtrainval_03-May-2010.tar",),
            "da459979d0c395079b5c75ee67908abb",
            "JPEGImages",
            "pascal/VOC2010",
        ),
        Source(
            "trainval.tar.gz",
            (
                f"https://{CONTEXT}/trainval.tar.gz",
                f"http://www.{CONTEXT}/trainval.tar.gz",
                "http://www.stat.ucla.edu/~ccvl/datasets/pascal-context/trainval.tar.gz",
            ),
            "df034edb2c12aa7d33b42b20bb1796e3",
            "trainval",
            "pascal-context",
        ),
        Source(
            "59_labels.txt",
            (f"https://{CONTEXT}/59_labels.txt", f"http://www.{CONTEXT}/59_labels.txt"),
            "993901f2d930cc038c406845f08fa082",
            "",
            "pascal-context",
        ),
    ),
}
