"""The data sets: one file each with all that is known of it, and the tools that they share."""

from . import nyud, pascalcontext, sample, siftflow, voc
from .record import Dataset

# Those that are published; the embedded task is made
PUBLISHED: dict[str, Dataset] = {
    module.DATASET.name: module.DATASET for module in (voc, nyud, siftflow, pascalcontext)
}
DATASETS: dict[str, Dataset] = PUBLISHED | {sample.DATASET.name: sample.DATASET}
