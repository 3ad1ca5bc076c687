"""Where the model folders and the data lie: in a checkout, or in what the wheel installed."""

import shutil
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
CHECKOUT = PACKAGE.parent
INSTALLED = not (CHECKOUT / "ilsvrc-nets" / "net.py").is_file()
# The folder that holds voc-fcn8s/, ilsvrc-nets/ and data/*/classes.txt
ROOT = PACKAGE / "published" if INSTALLED else CHECKOUT
# The folder below which data are fetched and results kept
WORK = Path.cwd() if INSTALLED else CHECKOUT
DATA = WORK / "data"


def writable(folder: Path) -> Path:
    """A model folder to train in: in a checkout the folder itself.

    What the wheel installed is not written to: it is copied to the working directory first.
    """
    if not INSTALLED or not folder.is_relative_to(ROOT):
        return folder
    copy = Path.cwd() / folder.relative_to(ROOT)
    if not copy.exists():
        shutil.copytree(folder, copy)
        print(f"copied {folder.name} to {copy}, to train there")
    return copy
