"""A solver of the small model, whose training goes well or wrong as a test wants it."""

import pytest
import tiny_model

import caffe


@pytest.fixture
def solver_of(tmp_path, monkeypatch):
    """A function: a solver of the small model with these settings, filled with these weights."""
    folder = tmp_path / "voc-tiny"
    tiny_model.write_data(tmp_path / "data")
    tiny_model.write_model(folder)
    monkeypatch.chdir(folder)
    (folder / "snapshot").mkdir()

    def build(rate=0.01, more="", score=None, body=None, train=None, filled=True):
        text = tiny_model.SOLVER.format(snapshot=0).replace("0.01", str(rate))
        if "display" in more:
            text = text.replace("display: 0", "")
        (folder / "solver.prototxt").write_text(text + more)
        if train:
            path = folder / "train.prototxt"
            path.write_text(train(path.read_text()))
        solver = caffe.get_solver("solver.prototxt")
        if filled:
            tiny_model.write_weights(folder, folder / "w.caffemodel", body=body, score=score)
            solver.net.copy_from("w.caffemodel")
        return solver

    return build
