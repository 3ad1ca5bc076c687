"""Log lines as Caffe writes them, through `logging`: glog's prefix, on standard error.

GLOG_minloglevel (0 info, 1 warning, 2 error, 3 nothing of ours) is read when `caffe` is imported.
In a notebook, where a net would fill pages with its log, only warnings show: GLOG_minloglevel=0 in the
environment, or `caffe.init_log(0)` at any time, gives the log back.
Scripts that parse Caffe's logs depend on the wording and on the `file:line]` tags.
"""

import builtins
import contextlib
import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator

_LEVELS = (logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL)
_LETTERS = {logging.INFO: "I", logging.WARNING: "W", logging.ERROR: "E", logging.CRITICAL: "F"}


class _Glog(logging.Handler):
    """Writes `I1122 16:51:10.883697 26135 solver.cpp:45] text` to whatever sys.stderr is now."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record. A notebook collects lines by itself: each flush would be a block."""
        print(prefixed(record), file=sys.stderr, flush=not in_notebook())


class _LogFile(logging.FileHandler):
    """The same lines in a file."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as a line of glog's."""
        return prefixed(record)

    def handleError(self, record: logging.LogRecord) -> None:
        """Say once that the file cannot be written, and go on without it: a log ends no training."""
        self.setLevel(logging.CRITICAL + 1)
        error = sys.exc_info()[1]
        reason = getattr(error, "strerror", None) or error
        warning("glog:0", f"{self.baseFilename} cannot be written ({reason}): its log ends here")

    def close(self) -> None:
        """Close the file, whose last lines may not have been written."""
        with contextlib.suppress(OSError):
            super().close()


def prefixed(record: logging.LogRecord) -> str:
    """A log record as glog printed it in Caffe's days.

    Newer ones state the year, which Caffe's own parse_log.py and extract_seconds.py cannot read.
    """
    at = time.strftime("%m%d %H:%M:%S", time.localtime(record.created))
    micro = int(record.created % 1 * 1e6)
    letter = _LETTERS.get(record.levelno, "I")
    where = getattr(record, "where", f"{record.filename}:{record.lineno}")
    thread = threading.get_native_id()
    return f"{letter}{at}.{micro:06d} {thread:5d} {where}] {record.getMessage()}"


def log_to_folder(folder: str, program: str) -> None:
    """Write the lines to `<folder>/<program>.<host>.<user>.log.INFO.<time>.<pid>` too, as glog does.

    `<folder>/<program>.INFO` links to the newest such file.
    """
    who = f"{socket.gethostname()}.{os.environ.get('USER', 'invalid-user')}"
    name = f"{program}.{who}.log.INFO.{time.strftime('%Y%m%d-%H%M%S')}.{os.getpid()}"
    logger.addHandler(_LogFile(os.path.join(folder, name)))
    link = os.path.join(folder, f"{program}.INFO")
    with contextlib.suppress(OSError):
        if os.path.islink(link):
            os.remove(link)
        os.symlink(name, link)


@contextlib.contextmanager
def log_to_file(path: str | os.PathLike[str]) -> Iterator[None]:
    """While entered, all lines go to a file, to whose end they are added, and warnings to the screen, too."""
    file = _LogFile(path)
    level, screen = logger.level, [handler for handler in logger.handlers if type(handler) is _Glog]
    shown = max(level, logging.WARNING)
    before = [handler.level for handler in screen]
    logger.addHandler(file)
    logger.setLevel(logging.INFO)
    for handler in screen:
        handler.setLevel(shown)
    try:
        yield
    finally:
        logger.setLevel(level)
        logger.removeHandler(file)
        file.close()
        for handler, own in zip(screen, before):
            handler.setLevel(own)


logger = logging.getLogger("caffe")
if not logger.handlers:
    logger.addHandler(_Glog())
    logger.propagate = False


def init_log(level: int = 0) -> None:
    """Show messages of at least this glog level; the environment's GLOG_minloglevel if it is higher.

    0: Caffe's log, in a notebook, too; 1: warnings; 2: errors.
    """
    try:
        least = int(os.environ.get("GLOG_minloglevel") or 0)
    except ValueError:
        least = 0
    logger.setLevel(_LEVELS[max(0, min(max(level, least), len(_LEVELS) - 1))])


def in_notebook() -> bool:
    """Whether a kernel of Jupyter runs this process."""
    shell = getattr(builtins, "get_ipython", lambda: None)()
    if shell is None:
        return "ipykernel" in sys.modules
    return any(cls.__name__ == "ZMQInteractiveShell" for cls in type(shell).__mro__)


init_log(1 if in_notebook() and not os.environ.get("GLOG_minloglevel") else 0)


def info(where: str, text: str) -> None:
    """A line of Caffe's own; `where` is the source line BVLC Caffe prints it from."""
    logger.info("%s", text, extra={"where": where})


def warning(where: str, text: str) -> None:
    """Log a warning; `where` is the place in Caffe's source, or in ours."""
    logger.warning("%s", text, extra={"where": where})


def error(where: str, text: str) -> None:
    """Log an error; `where` is the place in Caffe's source, or in ours."""
    logger.error("%s", text, extra={"where": where})


def log(text: str) -> None:
    """Pycaffe's `caffe.log`: one line of the user's own."""
    logger.info("%s", text, extra={"where": "_caffe.cpp:51"})


def number(value: float) -> str:
    """As a C++ stream prints it: six significant digits."""
    return format(float(value), "g")
