"""PASCAL-Context (Mottaghi et al.): 59 classes on a background, for the pictures of VOC2010.

Labels 0 (background) to 59, no void. On disk 459 labels, mapped by name through the set's own
lists. Classes: data/pascalcontext/__init__.py.
"""

from functools import cached_property
from pathlib import Path

import numpy as np

from data.pascalcontext import CLASSES, MAIN_NAMES
from seg_layer import SegDataLayer


class PASCALContextSegDataLayer(SegDataLayer):
    """Tops data, label. param_str: voc_dir (holds VOC2010), context_dir, split; seed, randomize."""

    dataset = "pascalcontext"
    required = ("voc_dir", "context_dir", "split")
    classes = len(CLASSES)
    files = {
        "split": "{voc_dir}/VOC2010/ImageSets/Main/{split}.txt",
        "data": "{voc_dir}/VOC2010/JPEGImages/{id}.jpg",
        "label": "{context_dir}/trainval/{id}.mat",
    }
    mean = np.array((104.007, 116.669, 122.679))

    def configure(self, params):
        self.classes = params.get("classes", len(self.labels_59) + 1)
        len(self.table)  # a list that is missing or does not fit is told at set-up

    def load_image(self, idx):
        """3 x H x W float32, BGR minus mean."""
        return self.bgr("data", idx, self.mean)

    def load_label(self, idx):
        """1 x H x W uint8: 0 background, 1 to 59."""
        values = self.mat("label", idx, "LabelMap").astype(np.int64)
        wrong = np.unique(values[(values < 0) | (values >= len(self.table))])
        if wrong.size:
            text = f"{self.path('label', idx)}: labels {wrong.tolist()} are not in labels.txt"
            raise self.fail(ValueError, f"{text} ({self.readme()})")
        return self.as_label(self.table[values], "label", idx)

    @cached_property
    def labels_400(self):
        """Name -> number, of the full set (459 of them, '400' in the original)."""
        return {name: number for number, name in self.names("labels.txt")}

    @cached_property
    def labels_59(self):
        """The task's names in order, those the full set spells otherwise in its spelling."""
        return [MAIN_NAMES.get(name, name) for _, name in self.names("59_labels.txt")]

    @cached_property
    def table(self):
        """Full label -> task label; what the task does not name is background."""
        table = np.zeros(max(self.labels_400.values()) + 1, np.uint8)
        absent = [name for name in self.labels_59 if name not in self.labels_400]
        if absent:
            raise self.fail(ValueError, f"labels.txt does not name {', '.join(absent)}")
        for task, name in enumerate(self.labels_59, 1):
            table[self.labels_400[name]] = task
        return table

    def names(self, list_name):
        """(number, name) of each `number: name` line; blanks in names are dropped."""
        path = Path(self.context_dir) / list_name
        if not path.is_file():
            raise self.missing(f"no list of labels: {path.absolute()} is not there")
        lines = [line.partition(":") for line in path.read_text().splitlines() if line.strip()]
        if not lines or not all(number.strip().isdigit() for number, _, _ in lines):
            raise self.fail(ValueError, f"{path}: lines must read `number: name`")
        return [(int(number), "".join(name.split())) for number, _, name in lines]
