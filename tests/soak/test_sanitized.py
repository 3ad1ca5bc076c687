"""The soak of the C kernels sees what it looks for, and finds nothing in one round."""

import os
import subprocess
import sys

import pytest

from caffe.kernels import compiling
from tests.soak import sanitized

CODE = "import ctypes, sys; print(ctypes.CDLL(sys.argv[1]).wrong(int(sys.argv[2])))"
WRONG = """
#include <stdlib.h>
int wrong(int i) { volatile int *a = malloc(16); a[0] = a[1] = a[2] = a[3] = 1; int b = a[i];
  free((void *)a); return b + (i < 0 ? 2147483647 + b : 0); }
"""
pytestmark = pytest.mark.skipif(not sanitized.runtime("gcc"), reason="no gcc with sanitizers here")


@pytest.mark.parametrize("index, said", [(2, ""), (4, "runtime error: load of address")])
def test_what_leaves_its_memory_is_seen(index, said, tmp_path, monkeypatch):
    (tmp_path / "wrong.c").write_text(WRONG)
    monkeypatch.setattr(compiling, "SOURCES", tmp_path)
    compiling.compile_into(tmp_path / "wrong.so", ["gcc"], sanitized.FLAGS)
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(tmp_path / "wrong.so"), str(index)],
        env={**os.environ, **sanitized.OPTIONS, "LD_PRELOAD": sanitized.runtime("gcc")},
        capture_output=True,
        text=True,
    )
    assert (done.returncode == 0) == (not said) and said in done.stderr


@pytest.mark.slow
def test_one_round_of_all_kernels():
    tried, said = sanitized.run(0)
    assert said == "" and tried == len(sanitized.KERNELS)
