"""A training script in the original's form runs as it is: its imports, surgery, steps and scores."""

import runpy
import sys

import pytest
import tiny_model

import caffe

SCRIPT = """
import os
import sys

import numpy as np

import caffe
import surgery, score

try:
    import setproctitle
    setproctitle.setproctitle(os.path.basename(os.getcwd()))
except ImportError:
    pass

caffe.set_device(int(sys.argv[1]))
caffe.set_mode_gpu()
solver = caffe.SGDSolver("solver.prototxt")
solver.net.copy_from("../start.caffemodel")
surgery.interp(solver.net, [name for name in solver.net.params if "up" in name])
ids = np.loadtxt("../data/voc/ImageSets/Segmentation/seg11valid.txt", dtype=str)
for _ in range(2):
    solver.step(5)
    score.seg_tests(solver, False, ids, layer="score")
"""


@pytest.fixture
def script(tmp_path, monkeypatch):
    """The script in a model folder, which is the working directory, with data and weights."""
    folder = tmp_path / "voc-tiny"
    tiny_model.write_data(tmp_path / "data")
    tiny_model.write_model(folder, snapshot=10)
    tiny_model.write_weights(folder, tmp_path / "start.caffemodel")
    (folder / "solve.py").write_text(SCRIPT)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["solve.py", "0"])
    return folder / "solve.py"


def test_it_trains_and_scores(script, monkeypatch, capsys):
    monkeypatch.setattr(caffe, "set_device", lambda gpu: None)
    monkeypatch.setattr(caffe, "set_mode_gpu", lambda: None)
    (script.parent / "snapshot").mkdir()
    runpy.run_path(str(script), run_name="__main__")
    out = capsys.readouterr().out
    for number in (5, 10):
        assert f"Iteration {number} mean IU" in out
    assert (script.parent / "snapshot/train_iter_10.caffemodel").is_file()


def test_without_a_gpu_it_says_what_to_do(script, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(RuntimeError, match="sees 0 GPUs: call caffe.set_mode_cpu"):
        runpy.run_path(str(script), run_name="__main__")


def test_without_the_folder_of_snapshots_it_is_named_before_the_first_step(script, monkeypatch):
    """`fcn train` and the project's own solve.py create it."""
    monkeypatch.setattr(caffe, "set_device", lambda gpu: None)
    monkeypatch.setattr(caffe, "set_mode_gpu", lambda: None)
    text = "solver.prototxt: cannot write to snapshot_prefix 'snapshot/train' .*must exist"
    with pytest.raises(ValueError, match=text):
        runpy.run_path(str(script), run_name="__main__")
