"""Where the modules of Python layers may come from: a prototxt runs no code that came with it."""

import os
import subprocess
import sys

import pytest
from places import ROOT

import caffe
from caffe import python_modules

LAYER = """
import pathlib, caffe
pathlib.Path(__file__).with_suffix(".ran").touch()
class Copy(caffe.Layer):
    def setup(self, bottom, top): pass
    def reshape(self, bottom, top): top[0].reshape(1)
    def forward(self, bottom, top): top[0].data[...] = 7
"""
NET = 'layer {{ name: "p" type: "Python" top: "y" python_param {{ module: "{}" layer: "Copy" }} }}'
SCRIPT = """
import os
from caffe import python_modules  # without PyTorch
where = map(os.path.realpath, python_modules.searched(os.getcwd()))
print(os.getcwd() in where, "is not run" in python_modules.why_not("evil_layer", os.getcwd()))
"""


@pytest.fixture(autouse=True)
def none_allowed(monkeypatch):
    monkeypatch.setattr(python_modules, "_allowed", {})


@pytest.fixture
def net(tmp_path):
    """A folder of somebody's with a prototxt and the module that it names."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    (folder / "evil_layer.py").write_text(LAYER)
    (folder / "net.prototxt").write_text(NET.format("evil_layer"))
    yield folder / "net.prototxt"
    sys.modules.pop("evil_layer", None)


def ran(net):
    """Whether the module beside a prototxt was run."""
    return net.with_name("evil_layer.ran").exists()


@pytest.mark.parametrize("where", ["elsewhere", "there"])
@pytest.mark.parametrize("entry", [None, "", ".", "{folder}"])
def test_the_working_directory(net, monkeypatch, tmp_path, where, entry):
    """It is on sys.path by accident, under whichever name: what lies in it is not run."""
    monkeypatch.chdir(net.parent if where == "there" else tmp_path)
    if entry is not None and where == "there":
        monkeypatch.setattr(sys, "path", [entry.format(folder=net.parent), *sys.path])
    with pytest.raises(SystemError) as caught:
        caffe.Net(str(net), caffe.TEST)
    assert not ran(net)
    assert f"call caffe.allow_python_layers('{net.parent}')" in str(caught.value)
    assert f"PYTHONPATH={net.parent}" in str(caught.value)


def test_an_allowed_folder(net):
    path = list(sys.path)
    caffe.allow_python_layers(net.parent)
    assert caffe.Net(str(net), caffe.TEST).forward()["y"] == 7
    assert sys.path == path


def test_a_module_that_is_imported_already(net, monkeypatch):
    monkeypatch.setattr(sys, "path", [str(net.parent), *sys.path])
    import evil_layer  # noqa: F401  the caller's own doing

    monkeypatch.undo()
    assert caffe.Net(str(net), caffe.TEST).forward()["y"] == 7


@pytest.mark.parametrize(
    "arguments, python_path, allowed",
    [
        (["script.py"], "", True),  # beside the script
        (["-m", "script"], "", True),  # the program itself lies there
        (["../elsewhere.py"], "{folder}", True),  # PYTHONPATH names it
        (["../elsewhere.py"], "x:", False),  # its empty item means the working directory
        (["-c", SCRIPT], "", False),
        (["-m", "elsewhere"], "{folder}/..", False),
    ],
)
def test_how_the_program_was_started(net, arguments, python_path, allowed):
    """In the prototxt's own folder: as users of pycaffe start their scripts."""
    (net.parent / "script.py").write_text(SCRIPT)
    (net.parent.parent / "elsewhere.py").write_text(SCRIPT)
    path = os.pathsep.join(filter(None, [str(ROOT), python_path.format(folder=net.parent)]))
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=net.parent,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"{allowed} {not allowed}\n"


def test_python_s_own_modules_are_not_run(tmp_path):
    path = tmp_path / "net.prototxt"
    path.write_text(NET.format("antigravity"))  # whose import opens a browser
    with pytest.raises(SystemError, match="one of Python's own, which have no layers"):
        caffe.Net(str(path), caffe.TEST)
    assert "antigravity" not in sys.modules


def test_a_folder_that_is_not_there():
    with pytest.raises(NotADirectoryError, match="there is no folder nowhere"):
        caffe.allow_python_layers("nowhere")
