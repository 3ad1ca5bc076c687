"""What pycaffe is, and what becomes of its users' mistakes: rules.json, computed by BVLC Caffe 1.0.

Every row carries the files and the code that was run. Where Caffe kills the process we raise; where
it raises, so do we; where it silently accepts a mistake, we accept it or raise.
"""

import contextlib
import io
import json
import subprocess
import sys
import types

import numpy as np
import pytest
from places import GOLDEN

import caffe

pytestmark = [  # the recorded code leaves files open
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
RULES = json.loads((GOLDEN / "rules.json").read_text())
ACCEPTED = {"blob_reshape_numpy_int"}  # pycaffe raises; here whatever is an index is an int
MINIMUM_TEXT = 15  # characters of an error message that says anything


def run(code, name="code.py"):
    namespace = {"caffe": caffe, "np": np}
    exec(compile(code, name, "exec"), namespace)  # recorded code, from our own golden file
    return namespace.get("result")


def run_in_process(args, **kwargs):
    """Stands in for subprocess.run([python, '-c', code]): a raised exception is a failed process."""
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            run(args[2])
    except Exception:
        return types.SimpleNamespace(returncode=1, stdout=printed.getvalue())
    return types.SimpleNamespace(returncode=0, stdout=printed.getvalue())


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("caffe.python_modules._allowed", {str(tmp_path): None})  # a script's folder
    monkeypatch.setattr(subprocess, "run", run_in_process)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if not getattr(sys.modules[name], "__file__", "") or str(tmp_path) in str(
            sys.modules[name].__file__
        ):
            del sys.modules[name]


def rows(kind):
    return [pytest.param(row, id=row["id"]) for row in RULES[kind]["rows"]]


def write(row, folder):
    for name, text in row.get("files", {}).items():
        (folder / name).write_text(text)


@pytest.mark.parametrize("row", rows("pycaffe"))
def test_pycaffe_fact(row, folder):
    write(row, folder)
    if row["outcome"] == "exception":
        with pytest.raises(Exception, match=".+"):
            run(row["code"])
        return
    result = run(row["code"])
    if row["id"] == "constants":  # the recording build had no OpenCV: no ImageData, no WindowData
        forks = {name for name, cls in caffe.layer.LAYER_TYPES.items() if cls.fork}
        result["types"] -= len({"ImageData", "WindowData"} | forks)
    assert of_caffe(json.loads(json.dumps(result, default=str))) == row["result"]


def of_caffe(result):
    """A result without the files that lie beside Caffe's two of a snapshot."""
    if isinstance(result, dict):
        return {key: of_caffe(value) for key, value in result.items()}
    if isinstance(result, list):
        return [of_caffe(value) for value in result if not str(value).endswith(".position.json")]
    return result


@pytest.mark.parametrize("row", rows("errors"))
def test_mistake(row, folder):
    write(row, folder)
    try:
        run(row["code"])
    except Exception as error:
        if row["outcome"] != "ok" and row["outcome"] != "exception":
            assert len(str(error)) >= MINIMUM_TEXT, f"{type(error).__name__}: {error}"
    else:
        assert row["outcome"] == "ok" or row["id"] in ACCEPTED, f"Caffe's outcome: {row['outcome']}"
