"""The cache of compiled kernels: the user's own, one file a processor, and no compiler is waited for
that hangs."""

import ctypes
import os
import stat
import subprocess
import time

import pytest

from caffe.kernels import compiling, library

SOURCE = "int answer(void) { return %d; }\n"
pytestmark = pytest.mark.skipif(not library.available(), reason="no C compiler here")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache, and a small source instead of the kernels."""
    (tmp_path / "sources").mkdir()
    (tmp_path / "sources" / "a.c").write_text(SOURCE % 42)
    monkeypatch.setattr(compiling, "SOURCES", tmp_path / "sources")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "fcn-caffe"


def names(cache):
    return {path.name for path in cache.iterdir()}


def test_a_library_is_compiled_once(cache):
    before = os.umask(0o002)  # as many systems have it: files that the group may write
    try:
        made = compiling.compiled()
    finally:
        os.umask(before)
    assert ctypes.CDLL(str(made)).answer() == 42
    assert stat.S_IMODE(cache.stat().st_mode) == 0o700 == stat.S_IMODE(made.stat().st_mode)
    at = made.stat().st_mtime_ns
    os.utime(made, (9, 9))
    assert compiling.compiled() == made and made.stat().st_mtime_ns > at  # used today
    assert names(cache) == {made.name}  # not compiled again, and nothing is left over


def test_each_processor_compiler_and_source_has_its_own(cache, monkeypatch):
    made = {compiling.compiled()}
    monkeypatch.setattr(compiling, "processor", lambda: "flags: sse2 avx512f of another machine")
    made.add(compiling.compiled())
    monkeypatch.setattr(compiling, "version_of", lambda compiler: b"another compiler")
    made.add(compiling.compiled())
    (compiling.SOURCES / "a.c").write_text(SOURCE % 43)
    made.add(compiling.compiled())
    assert len(made) == 4 and names(cache) == {path.name for path in made}


def test_a_system_that_does_not_tell_its_processor(monkeypatch):
    monkeypatch.setattr("pathlib.Path.read_text", lambda path: (_ for _ in ()).throw(OSError()))
    monkeypatch.setattr("platform.node", lambda: "this-machine")
    assert "this-machine" in compiling.processor()


def test_old_ones_are_deleted(cache):
    cache.mkdir(mode=0o700)
    for name, age in (("kernels-old.so", 0), ("kernels-other.so", time.time())):
        (cache / name).write_bytes(b"")
        os.utime(cache / name, (age, age))
    made = compiling.compiled()
    assert names(cache) == {"kernels-other.so", made.name}


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o702])
def test_a_cache_that_others_may_write(cache, mode):
    cache.mkdir()
    cache.chmod(mode)
    with pytest.raises(RuntimeError, match="fcn-caffe belongs to another user or may be written"):
        compiling.compiled()


def test_a_file_that_others_may_write_is_compiled_anew(cache):
    made = compiling.compiled()
    made.write_bytes(b"somebody's")
    made.chmod(0o720)
    assert ctypes.CDLL(str(compiling.compiled())).answer() == 42
    assert stat.S_IMODE(made.stat().st_mode) == 0o700


def test_a_cache_of_another_user(cache, monkeypatch):
    compiling.compiled()
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    with pytest.raises(RuntimeError, match="belongs to another user"):
        compiling.compiled()


def test_a_cache_that_others_may_read_is_made_private(cache):
    cache.mkdir(mode=0o755)
    compiling.compiled()
    assert stat.S_IMODE(cache.stat().st_mode) == 0o700


@pytest.mark.parametrize("content", [b"", b"no library"])
def test_a_damaged_file_is_compiled_anew(cache, content):
    made = compiling.compiled()
    made.write_bytes(content)
    assert library._loaded().answer() == 42


def test_a_compiler_that_hangs_is_stopped_with_what_it_started(cache, tmp_path, monkeypatch):
    """As gcc does, which runs cc1: that one holds the pipes open."""
    compiler = tmp_path / "hangs"
    compiler.write_text(f"#!/bin/sh\nsleep 600 &\necho $! > {tmp_path}/started\nwait\n")
    compiler.chmod(0o700)
    monkeypatch.setenv("CC", str(compiler))
    monkeypatch.setattr(compiling, "PATIENCE", 0.3)
    began = time.monotonic()
    with pytest.raises(subprocess.TimeoutExpired):
        compiling.compiled()
    assert time.monotonic() - began < 5 and names(cache) == set()
    started = int((tmp_path / "started").read_text())
    for _ in range(100):
        state = subprocess.run(
            ["ps", "-o", "stat=", "-p", str(started)], capture_output=True
        ).stdout
        if not state.strip() or state.startswith(b"Z"):
            return
        time.sleep(0.05)
    raise AssertionError("what the compiler had started still runs")


def test_a_library_that_cannot_be_had_is_told(cache, monkeypatch):
    said = []
    monkeypatch.setattr(library, "warning", lambda where, text: said.append(text))
    cache.mkdir()
    cache.chmod(0o777)
    library.library.cache_clear()
    try:
        assert not library.available()
    finally:
        monkeypatch.undo()
        library.library.cache_clear()
    assert "written by others" in said[0] and str(cache) in said[0]
