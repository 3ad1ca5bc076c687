"""--help of an example is a help page, and makes nothing."""

import subprocess
import sys

import pytest
from places import ROOT


@pytest.mark.parametrize("script", ["digits.py", "known_nets.py"])
def test_help(script, tmp_path):
    path = ROOT / "examples" / script
    done = subprocess.run(
        [sys.executable, path, "--help"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0 and done.stdout.startswith(f"usage: {script}")
    assert not list(tmp_path.iterdir())
