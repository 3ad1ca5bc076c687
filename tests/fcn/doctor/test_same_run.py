"""Looking changes nothing: the steps after it are the steps without it."""

import numpy as np
import pytest
import tiny_model

import caffe
from caffe.proto import caffe_pb2
from fcn import prototxts
from fcn.doctor import Case, before_training


@pytest.mark.parametrize("score", [None, np.eye(3)])
def test_training_is_the_same(tmp_path, monkeypatch, score):
    folder = tmp_path / "mine"
    tiny_model.write_data(tmp_path / "data")
    tiny_model.write_model(folder)
    tiny_model.write_weights(folder, tmp_path / "start.caffemodel", score=score)
    monkeypatch.chdir(folder)
    (folder / "snapshot").mkdir()
    weights = []
    for looks in (False, True):
        caffe.set_random_seed(3)
        solver = caffe.get_solver("solver.prototxt")
        solver.net.copy_from(str(tmp_path / "start.caffemodel"))
        if looks:
            settings = prototxts.read_text("solver.prototxt", caffe_pb2.SolverParameter())
            case = Case(folder, settings, net=solver.net, test_net=solver.test_nets[0])
            case.start = [("voc-start", tmp_path / "start.caffemodel")]
            assert [each for each in before_training(case) if each.level != "note"] == []
        solver.step(5)
        solver.test_nets[0].share_with(solver.net)
        solver.test_nets[0].forward()
        weights.append(
            [
                solver.net.params["body"][0].data.copy(),
                solver.test_nets[0].blobs["score"].data.copy(),
            ]
        )
    for without, with_ in zip(*weights):
        np.testing.assert_array_equal(without, with_)
