"""Dense CRFs behind nets: parameters, sizes, `--crf` of infer and score, `fcn crf-search`."""

import argparse
from dataclasses import replace

import numpy as np
import pytest
import tiny_model
from colours import indices
from PIL import Image

from fcn import Segmenter, cli, crf, crf_search, scoring
from fcn.crf import PAPER, SAMPLE, DenseCRF, Parameters
from fcn.finite_scores import NotFinite

QUICK = Parameters(0, 1, 20, 30, 40, 3)


def two_halves(height=20, width=30, noise=2.0):
    """(scores of three classes with noise, a picture whose halves differ, the half of each pixel)."""
    truth = np.zeros((height, width), int)
    truth[:, width // 2 :] = 1
    image = np.where(truth[:, :, None], (200, 60, 60), (20, 90, 20)).astype(np.uint8)
    scores = 1.5 * np.eye(3)[truth].transpose(2, 0, 1)
    return scores + np.random.default_rng(0).normal(0, noise, scores.shape), image, truth


def test_it_follows_the_picture():
    scores, image, truth = two_halves()
    assert (scores.argmax(0) == truth).mean() < 0.7
    for exact in (False, True):
        q = DenseCRF(scores, image, QUICK, exact=exact).infer()
        assert q.shape == scores.shape and np.allclose(q.sum(0), 1, atol=1e-5)
        assert (q.argmax(0) == truth).mean() > 0.99
    grey = DenseCRF(scores, image[:, :, 0], QUICK).infer()
    assert (grey.argmax(0) == truth).mean() > 0.99
    once = DenseCRF(scores, image, QUICK).infer(1)
    assert not np.allclose(once, q) and (once.argmax(0) == truth).mean() > 0.75


def test_weights_of_0_leave_the_softmax():
    scores, image, _ = two_halves()
    q = DenseCRF(scores, image, Parameters(0, 3, 0, 3, 3)).infer()
    np.testing.assert_allclose(q, np.exp(scores) / np.exp(scores).sum(0), rtol=1e-5)


def test_a_picture_of_another_size_and_scores_that_are_not_finite():
    scores, image, _ = two_halves()
    with pytest.raises(ValueError, match="first. is 20 x 29 x 3, and .* are 3 x 20 x 30"):
        DenseCRF(scores, image[:, 1:])
    scores[0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="finite scores"):
        DenseCRF(scores, image)


@pytest.mark.parametrize(
    "text, said",
    [
        ("bi_w", "bi_w: NAME=VALUE is wanted, of pos_w, pos_xy_std"),
        ("bi=3", "bi=3: NAME=VALUE is wanted"),
        ("bi_w=much", "'much' is no number"),
        ("max_iter=2.5", "'2.5' is no whole number"),
        ("bi_xy_std=0", "bi_xy_std of the dense CRF is 0; it must be above 0"),
        ("pos_w=-1", "pos_w of the dense CRF is -1; it must be 0 or more"),
        ("bi_w=nan", "bi_w of the dense CRF is nan"),
    ],
)
def test_parameters_that_are_none(text, said, capsys):
    with pytest.raises(ValueError, match=said):
        PAPER.changed([text])
    assert cli.main(["infer", "none.jpg", "--crf-set", text]) == 2
    assert said in capsys.readouterr().err


def test_defaults_are_those_of_the_task():
    def asked(crf=False, crf_set=()):
        return argparse.Namespace(crf=crf, crf_set=list(crf_set))

    assert crf.given(asked(), False) is None
    assert crf.given(asked(crf=True), False) == PAPER
    assert crf.given(asked(crf=True), True) == SAMPLE
    changed = crf.given(asked(crf_set=["bi_w=7", "max_iter=2"]), False)
    assert changed == replace(PAPER, bi_w=7, max_iter=2) and isinstance(changed.max_iter, int)
    assert PAPER.changed(str(SAMPLE).split()) == SAMPLE


def test_infer(model, scene, tmp_path, capsys):
    noisy = np.clip(scene + np.random.default_rng(0).normal(0, 30, scene.shape), 0, 255)
    Image.fromarray(noisy.astype(np.uint8)).save(tmp_path / "s.png")
    words = ["infer", "--cpu", "--model", str(model), "--probabilities", "s.png"]
    assert cli.main([*words, "--crf-set", *str(QUICK).split()]) == 0
    assert f"with a dense CRF of {QUICK}" in capsys.readouterr().out
    segmenter = Segmenter(model, crf=QUICK)
    result = segmenter(tmp_path / "s.png")
    assert (indices("results/s_classes.png") == result.classes).all()
    kept = np.load("results/s_probabilities.npy")
    assert np.abs(kept - result.probabilities).max() < 1e-3
    assert (result.probabilities.argmax(0) == result.classes).all() and result.probable
    plain = Segmenter(model)(tmp_path / "s.png")
    wanted = DenseCRF(plain.scores, noisy.astype(np.uint8), QUICK).infer()
    np.testing.assert_allclose(result.scores, wanted, atol=1e-4)
    assert np.load("results/s_probabilities.npy").shape == (3, 40, 60)


@pytest.mark.parametrize("size", [(1, 1), (2, 77)])
def test_any_size(model, size):
    result = Segmenter(model, crf=PAPER)(np.full((*size, 3), 9, np.uint8) * np.uint8([1, 2, 3]))
    assert result.classes.shape == size


def scored(model, tmp_path, *words):
    weights = tmp_path / "w.caffemodel"
    tiny_model.write_weights(model, weights, score=[[0, -1, -1], [0, -1, 1], [0, 1, -1]])
    return cli.main(["score", "--cpu", "--model", str(model), "--weights", str(weights), *words])


def test_score(model, tmp_path, capsys):
    tiny_model.write_data(tmp_path / "data")
    words = ["--record", str(tmp_path / "r.jsonl"), "--save", str(tmp_path / "seg")]
    sharp = ["--crf-set", "bi_w=20", "bi_xy_std=5", "bi_rgb_std=40", "pos_w=0"]
    assert scored(model, tmp_path, *words) == scored(model, tmp_path, *words, *sharp) == 0
    plain, refined = scoring.read_records(tmp_path / "r.jsonl")
    assert "crf" not in plain and refined["crf"]["bi_w"] == 20
    assert plain["mean_iu"] < 0.98 < refined["mean_iu"] and plain["loss"] == refined["loss"]
    truth, given = (
        indices(tmp_path / path) for path in ("data/voc/SegmentationClass/e.png", "seg/label/e.png")
    )
    assert (truth == given).all()


NET = """
layer {{ name: "data" type: "Input" top: "data" top: "label" top: "score" input_param {{
  shape {{ dim: 1 dim: 3 dim: 4 dim: {} }} shape {{ dim: 1 dim: 1 dim: 4 dim: 6 }}
  shape {{ dim: 1 dim: 3 dim: 4 dim: 6 }} }} }}"""


def test_score_names_the_picture_whose_size_is_another(net_of):
    net = net_of(NET.format(5))
    with pytest.raises(ValueError, match="^seven: score and data: .* is 4 x 5 x 3, .* 3 x 4 x 6"):
        scoring.compute_hist(net, None, ["seven"], parameters=PAPER)
    net = net_of(NET.format(6))
    net.blobs["score"].data[0, 0, 0, 0] = np.inf
    with pytest.raises(NotFinite, match="score"):
        scoring.compute_hist(net, None, ["seven"], parameters=PAPER)


def test_a_softmax_s_probabilities_are_taken_as_such(net_of):
    """Though another layer lies behind the Softmax, as dilation's nets have it."""
    text = NET.format(6) + 'layer { name: "soft" type: "Softmax" bottom: "score" top: "soft" }'
    text += 'layer { name: "p" type: "Crop" bottom: "soft" bottom: "data" top: "p" }'
    net = net_of(text)
    rng = np.random.default_rng(0)
    net.blobs["score"].data[...] = rng.normal(size=(1, 3, 4, 6))
    net.blobs["data"].data[...] = rng.uniform(0, 255, (1, 3, 4, 6))
    net.forward()
    np.testing.assert_allclose(
        crf.refined(net, "p", PAPER), crf.refined(net, "score", PAPER), atol=1e-5
    )


def test_a_search_finds_what_helps(monkeypatch):
    scores, image, truth = two_halves()
    pictures = [crf_search.Picture(scores, image, truth)]
    start = Parameters(0, 1, 0, 30, 40, 3)  # bi_w 0 refines nothing
    monkeypatch.setattr(crf_search, "VALUES", {"bi_w": (0, 1, 20), "bi_rgb_std": (20, 40)})
    best, reached = crf_search.search(pictures, start)
    assert best.bi_w == 20 and reached == crf_search.mean_iu(pictures, best)
    assert reached > crf_search.mean_iu(pictures, None) + 0.2


def test_the_search_reads_the_split_that_it_is_told(model, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(crf_search, "VALUES", {"bi_w": (0, 20)})
    tiny_model.write_data(tmp_path / "data")
    words = ["crf-search", "--cpu", "--model", str(model), "--crf-set", "bi_xy_std=5"]
    assert cli.main(words) == 2
    assert "--split: name pictures that are neither trained on" in capsys.readouterr().err
    lists = tmp_path / "data/voc/ImageSets/Segmentation"
    (lists / "tune.txt").write_text("c\nd\n")
    assert cli.main([*words, "--split", "tune"]) == 0
    out = capsys.readouterr().out
    assert "2 pictures of tune: mean IU" in out and "--crf-set pos_w=3" in out
    monkeypatch.chdir(tmp_path)
    assert cli.main([*words, "--split", "none"]) == 2
    assert "none" in capsys.readouterr().err
