"""Writes TensorBoard's event files, where tensorboard is installed: `pip install fcn-caffe[tensorboard]`.

`tensorboard --logdir voc-fcn8s/snapshot` shows all runs of a model side by side.
"""

import importlib
import importlib.util
from pathlib import Path
from typing import Any

# Its own writer needs neither torch nor TensorFlow
INSTALLED = importlib.util.find_spec("tensorboard") is not None


class Events:
    """The event file of a run; does nothing without tensorboard."""

    def __init__(self, folder: str | Path):
        """In the run's `folder`; the file is made with the first scalar."""
        self.folder = Path(folder)
        self.writer: Any = None

    def scalar(self, tag: str, value: float, step: int) -> None:
        """Add a value of a curve, such as "loss/per pixel", at an iteration."""
        if not INSTALLED:
            return
        if self.writer is None:
            # imported only where it is used: it takes 0.3 s
            self.writer = importlib.import_module("tensorboard.summary").Writer(str(self.folder))
        self.writer.add_scalar(tag, float(value), step=int(step))

    def flush(self) -> None:
        """Write to the disk what was added; it is done every two minutes anyway."""
        if self.writer is not None:
            self.writer.flush()

    def close(self) -> None:
        """Write what was added and close the file; the next scalar would begin another."""
        if self.writer is not None:
            self.writer.close()
            self.writer = None
