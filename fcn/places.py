"""Where the project's files are, in a checkout and after `pip install` of the wheel.

ROOT holds what is published: the model folders, `ilsvrc-nets/` and the lists in `data/`. It is only
read. HOME holds what users add and what commands write: weights, snapshots, data sets, tables. In a
checkout both are the checkout. With the wheel, ROOT is inside of the package and HOME is the working
directory.
"""

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
INSTALLED = (PACKAGE / "published").is_dir()  # setup.py puts it into the wheel only
ROOT = PACKAGE / "published" if INSTALLED else PACKAGE.parent
HOME = Path.cwd() if INSTALLED else ROOT
SCENES = "sample/scenes"  # of the embedded task, below the data sets' folder


def data_folder() -> Path:
    """The folder that holds the data sets."""
    return HOME / "data"


def scenes_folder() -> Path:
    """The folder that holds the embedded task's scenes."""
    return data_folder() / SCENES


def script(name: str) -> str:
    """How a script of the project is called from the working directory.

    >>> script("ilsvrc-nets/no.py").startswith("python /")
    True
    """
    return f"python {name if Path(name).is_file() else ROOT / name}"
