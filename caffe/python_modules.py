"""Where the modules of Python layers may come from.

A prototxt only names a module. Whose code that is, the caller decides: a module comes from a folder
given to `allow_python_layers`, or from where the program's own imports come from: modules it has
imported already, its script's folder, PYTHONPATH, what it put on sys.path, installed packages. The
prototxt's folder is none of these, nor is the working directory, which is on sys.path of every
interactive Python, unless the program itself lies in it.
"""

import contextlib
import importlib.machinery
import importlib.util
import os
import sys
import sysconfig
from collections.abc import Iterator

_allowed: dict[str, None] = {}  # folders, in the order in which they were allowed


def allow_python_layers(folder: str | os.PathLike[str]) -> None:
    """Let Python layers' modules be imported from a folder from now on; its files are run as code.

    NotADirectoryError if there is no such folder.
    """
    if not os.path.isdir(folder):
        raise NotADirectoryError(f"caffe.allow_python_layers: there is no folder {folder}")
    _allowed[os.path.realpath(folder)] = None


def searched(folder: str | None = None) -> list[str]:
    """The folders in which modules are looked for; of those allowed, the prototxt's `folder` comes
    first and the working directory second."""
    nearest = [os.path.realpath(each) for each in (folder, os.getcwd()) if each]
    allowed = [each for each in nearest if each in _allowed] + list(_allowed)
    return list(dict.fromkeys([*allowed, *filter(_is_callers, sys.path)]))


def _is_callers(entry: str) -> bool:
    """Whether an entry of sys.path is the caller's choice, and not the working directory by accident.

    Python puts '' there when it is interactive or runs -c or -m, and the working directory for an
    empty item of PYTHONPATH.
    """
    here = os.path.realpath(os.getcwd())
    if os.path.realpath(entry or here) != here:
        return True
    named = [each for each in os.environ.get("PYTHONPATH", "").split(os.pathsep) if each]
    if here in map(os.path.realpath, named):
        return True
    program = os.path.realpath(getattr(sys.modules["__main__"], "__file__", None) or os.sep)
    installed = program.startswith(os.path.realpath(sys.prefix) + os.sep)
    return program.startswith(os.path.join(here, "")) and not installed


@contextlib.contextmanager
def only_allowed(folder: str | None, here: bool = False) -> Iterator[None]:
    """Imports inside of the block look in `searched(folder)` alone; with `here` first in the working
    directory, for modules that the caller has named himself."""
    before, places = list(sys.path), [os.getcwd()] * here + searched(folder)
    sys.path[:] = places
    try:
        yield
    finally:
        # what the module itself put on the path stays
        sys.path[:] = [each for each in sys.path if each not in places] + before


def why_not(module: str, folder: str | None) -> str:
    """What to write so that a module beside the prototxt, or in the working directory, is found; ""
    if it is not there, or may be imported."""
    name = module.partition(".")[0]
    for place in dict.fromkeys(os.path.realpath(each) for each in (folder, os.getcwd()) if each):
        there = importlib.machinery.PathFinder.find_spec(name, [place])
        if there and there.origin and place not in map(os.path.realpath, searched(folder)):
            return (
                f"{there.origin} is not run, since its folder is on no list: if you trust it, call "
                f"caffe.allow_python_layers({place!r}), or start with PYTHONPATH={place}"
            )
    return ""


def is_of_python(module: str) -> bool:
    """Whether importing a module would run one of Python's own, none of which has layers."""
    if module in sys.modules:
        return False
    found = importlib.util.find_spec(module.partition(".")[0])
    library = os.path.join(sysconfig.get_path("stdlib"), "")
    origin = (found and found.origin) or ""
    return origin.startswith(library) and "site-packages" not in origin
