"""Compiles the C kernels, once for a machine's processor and compiler, into a cache of the user's own.

What lies in the cache is loaded as code. So its folder is the user's alone (mode 0700), owner and mode
of the folder and of the file are checked before it is loaded, and a file's name has a digest of all
that it was made from: sources, flags, compiler, and what the processor can do. A cache that machines
share has a file for each kind of processor, and none loads another's.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

SOURCES = Path(__file__).parent
FLAGS = ["-O3", "-fno-math-errno", "-march=native", "-std=gnu11", "-fopenmp", "-fPIC", "-shared"]
UNUSED_DAYS = 30  # after which a library of other sources or another compiler is deleted
PATIENCE = 60  # seconds that a compiler gets


def compiled() -> Path:
    """The library, from the cache if this machine's compiler has compiled these sources before.

    OSError, RuntimeError or subprocess.SubprocessError if there is none to be had.
    """
    compiler = os.environ.get("CC") or next(filter(shutil.which, ("gcc", "cc", "clang")), "gcc")
    folder = cache_folder()
    target = folder / f"kernels-{digest(compiler)[:16]}.so"
    if target.exists() and is_own(target):  # anything else is replaced
        os.utime(target)  # used today: `prune` spares it
        return target
    with tempfile.TemporaryDirectory(dir=folder) as work:  # several processes may be at it
        built = Path(work, target.name)
        compile_into(built, compiler.split(), FLAGS)
        built.chmod(0o700)
        with open(built, "rb") as file:
            os.fsync(file)  # half a library after a power failure would be loaded
        os.replace(built, target)
    prune(folder, target)
    return target


def cache_folder() -> Path:
    """The cache, made if needed, and this user's alone. RuntimeError if it is somebody else's."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "fcn-caffe")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not is_own(folder):
        raise RuntimeError(
            f"{folder} belongs to another user or may be written by others: chmod go-w it, or set "
            "XDG_CACHE_HOME to a folder of your own"
        )
    if stat.S_IMODE(folder.stat().st_mode) != 0o700:
        folder.chmod(0o700)
    return folder


def digest(compiler: str) -> str:
    """Of everything that decides what the compiled kernels are."""
    found = hashlib.sha256(repr((compiler, FLAGS, platform.machine(), processor())).encode())
    found.update(version_of(compiler))
    for path in sorted(SOURCES.glob("*.[ch]")):
        found.update(path.read_bytes())
    return found.hexdigest()


def compile_into(path: Path, compiler: Sequence[str], flags: Sequence[str]) -> None:
    """Compile all sources into one library. subprocess.SubprocessError if that fails or hangs."""
    sources = map(str, sorted(SOURCES.glob("*.c")))
    call([*compiler, *flags, *sources, "-o", str(path)], PATIENCE)


def call(command: Sequence[str], seconds: float) -> bytes:
    """What a command prints; after so many seconds it is killed with all that it has started.

    A compiler is several programs, and whoever waits for the first alone waits for ever.
    """
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )
    try:
        out, err = process.communicate(timeout=seconds)
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise
    if process.returncode:
        text = err.decode(errors="replace")
        raise subprocess.CalledProcessError(process.returncode, command, stderr=text)
    return out


def version_of(compiler: str) -> bytes:
    """The first line of what a compiler says of its version; nothing if it does not run."""
    try:
        said = call([*compiler.split(), "--version"], PATIENCE)
    except (OSError, subprocess.SubprocessError):
        return b""
    return said.partition(b"\n")[0]


def processor() -> str:
    """What -march=native depends on. Where the system does not tell, the machine's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    known = (line for line in lines if line.startswith(("flags", "Features")))
    return next(known, f"{platform.processor()} of {platform.node()}")


def is_own(path: Path) -> bool:
    """Whether nobody else could have put code there."""
    status = path.stat()
    return status.st_uid == os.getuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def prune(folder: Path, keep: Path) -> None:
    """Delete libraries that were not used for UNUSED_DAYS."""
    oldest = time.time() - UNUSED_DAYS * 86400
    for path in folder.glob("kernels-*.so"):
        if path != keep and path.stat().st_mtime < oldest:
            path.unlink(missing_ok=True)
