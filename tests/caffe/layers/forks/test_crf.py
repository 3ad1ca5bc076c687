"""DenseCRF of two forks and MultiStageMeanfield."""

import numpy as np
import pytest
from gradient_check import Case, Layers, build, check_gradient, check_reference
from naive_lattice import normalized_filter

from caffe.layers.forks.crf import CCNNCRF, DeepLabCRF

H, W = 3, 4
SCORES, PICTURE = (1, 2, H, W), (1, 3, H, W)
COLOURS = np.random.default_rng(3).uniform(0, 60, PICTURE)
XY = np.stack(np.meshgrid(np.arange(W), np.arange(H))).astype(float)
DEEPLAB = """type: "DenseCRF" bottom: "s" bottom: "d" bottom: "p" dense_crf_param {{ max_iter: 2
pos_xy_std: 3 pos_w: 2 bi_xy_std: 5 bi_rgb_std: 20 bi_w: 4 {} }}"""
CCNN = """type: "DenseCRF" bottom: "s" bottom: "p" densecrf_param { x_gauss: 2 y_gauss: 3 wt_gauss: 2
x_bilateral: 6 y_bilateral: 7 r_bilateral: 10 g_bilateral: 20 b_bilateral: 30 wt_bilateral: 4 }"""
MEANFIELD = """type: "MultiStageMeanfield" multi_stage_meanfield_param { num_iterations: 3
theta_alpha: 5 theta_beta: 20 theta_gamma: 2 spatial_filter_weight: 3 bilateral_filter_weight: 5 }"""


def softmax(x):
    e = np.exp(x - x.max(0))
    return e / e.sum(0)


def features(*parts):
    return np.concatenate([part.reshape(len(part), -1) for part in parts])


def mean_field(scores, kernels, rounds):
    q = softmax(scores)
    for _ in range(rounds):
        q = softmax(scores + sum(w * normalized_filter(f, q) for w, f in kernels))
    return q


def deeplab(bottoms, log=False, rows=H, columns=W):
    scores, _, picture = bottoms
    xy = XY[:, :rows, :columns]
    kernels = [(2, features(xy / 3)), (4, features(xy / 5, picture[0, :, :rows, :columns] / 20))]
    q = mean_field(scores[0, :, :rows, :columns].reshape(2, -1), kernels, 2)
    y = np.zeros_like(scores)
    y[0, :, :rows, :columns] = (np.log(q) if log else q).reshape(2, rows, columns)
    return y


def ccnn(bottoms, params):
    scores, picture = bottoms
    near = XY / np.reshape([2, 3], (2, 1, 1)), XY / np.reshape([6, 7], (2, 1, 1))
    colours = picture[0] / np.reshape([30, 20, 10], (3, 1, 1))
    kernels = [(2, features(near[0])), (4, features(near[1], colours))]
    return mean_field(scores[0].reshape(2, -1), kernels, 10).argmax(0).reshape(1, 1, H, W)


def meanfield(bottoms, params):
    tops = []
    for unary, x, picture in zip(*bottoms):
        shape, (unary, x) = unary.shape, (part.reshape(2, -1) for part in (unary, x))
        spatial, bilateral, compatibility = (p[0, 0] for p in params)
        near, alike = features(XY / 2), features(XY / 5, picture / 20)
        for _ in range(3):
            p = softmax(x)
            message = spatial @ normalized_filter(near, p) + bilateral @ normalized_filter(alike, p)
            x = unary - compatibility @ message
        tops.append(x.reshape(shape))
    return np.stack(tops)


def crf(settings, reference, size=(H, W)):
    return Case(
        DEEPLAB.format(settings),
        [SCORES, (1, 1, 1, 2), PICTURE],
        reference,
        values={1: [[[list(size)]]], 2: COLOURS},
    )


CASES = [
    crf("", lambda b, p: deeplab(b)),
    crf("output_probability: false", lambda b, p: deeplab(b, log=True)),
    crf("", lambda b, p: deeplab(b, rows=2, columns=3), (2, 3)),
    Case(CCNN, [SCORES, PICTURE], ccnn, values={1: COLOURS}),
    Case(
        MEANFIELD,
        [(2, *SCORES[1:])] * 2 + [(2, *PICTURE[1:])],
        meanfield,
        values={2: np.concatenate([COLOURS, COLOURS[:, ::-1]])},
    ),
]


@pytest.mark.parametrize("case", CASES, ids=["DeepLab", "log", "window", "CCNN", "CRF-RNN"])
def test_reference(case):
    check_reference(case)


def test_gradient():
    check_gradient(CASES[-1])


def test_a_test_net_computes_the_rounds_again_for_a_gradient():
    diffs = []
    for phase in (0, 1):
        run, _ = Case(**{**vars(CASES[-1]), "phase": phase}).run()
        run.forward()
        run.top[0].diff[...] = 1
        run.backward([True, True, False])
        diffs.append([blob.diff.copy() for blob in [*run.bottom[:2], *run.params]])
    for a, b in zip(*diffs):
        np.testing.assert_array_equal(a, b)


def test_equal_settings_agree():
    """DenseCRF's probabilities are the softmax of MultiStageMeanfield's scores."""
    one = Layers(
        DEEPLAB.format("max_iter: 3").replace("max_iter: 2", ""), [SCORES, (1, 1, 1, 2), PICTURE]
    )
    other = Layers(
        """type: "MultiStageMeanfield" multi_stage_meanfield_param { num_iterations: 3 theta_gamma: 3
        theta_alpha: 5 theta_beta: 20 spatial_filter_weight: 2 bilateral_filter_weight: 4 }""",
        [SCORES, SCORES, PICTURE],
    )
    scores = np.random.default_rng(0).normal(size=SCORES)
    for run, place in ((one, 2), (other, 2)):
        run.bottom[0].data[...] = scores
        run.bottom[place].data[...] = COLOURS
    one.bottom[1].data[...] = [H, W]
    other.bottom[1].data[...] = scores
    np.testing.assert_allclose(one.forward()[0][0], softmax(other.forward()[0][0]), rtol=1e-4)


@pytest.mark.parametrize(
    "text, cls",
    [
        ("dense_crf_param { }", DeepLabCRF),
        ("densecrf_param { }", CCNNCRF),
        ('bottom: "a" bottom: "b"', CCNNCRF),
        ('bottom: "a" bottom: "b" bottom: "c"', DeepLabCRF),
    ],
)
def test_what_is_stated_decides(text, cls):
    assert type(build(f'type: "DenseCRF" {text}')) is cls


def diagonal(matrix):
    assert (matrix - np.diag(np.diag(matrix)) == 0).all()
    return np.diag(matrix).tolist()


def test_weights_to_begin_with(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shapes = [SCORES, SCORES, PICTURE]
    run = Layers(MEANFIELD, shapes)
    assert [diagonal(blob.data[0, 0]) for blob in run.params] == [[3, 3], [5, 5], [-1, -1]]
    (tmp_path / "spatial.par").write_text("1.5\n2.5\n")
    text = MEANFIELD.replace("num_iterations", 'bilateral_filter_weights_str: "7 8" num_iterations')
    run = Layers(text, shapes)
    assert [diagonal(blob.data[0, 0]) for blob in run.params[:2]] == [[1.5, 2.5], [7, 8]]
    (tmp_path / "spatial.par").write_text("1.5 2.5 3.5")
    with pytest.raises(ValueError, match="the file spatial.par has 3 numbers for 2 classes"):
        Layers(MEANFIELD, shapes)
    with pytest.raises(ValueError, match="bilateral_filter_weights_str: could not convert.*'x'"):
        (tmp_path / "spatial.par").unlink()
        Layers(text.replace("7 8", "7 x"), shapes)


@pytest.mark.parametrize(
    "text, shapes, says",
    [
        (DEEPLAB.format("pos_w: 1"), [SCORES, (1, 2), PICTURE], "a pos_w for each pos_xy_std"),
        (DEEPLAB.format("bi_w: 1"), [SCORES, (1, 2), PICTURE], "a bi_w for each"),
        (DEEPLAB.format(""), [SCORES, (1, 3), PICTURE], "a height and a width for each of 1"),
        (DEEPLAB.format(""), [SCORES, (1, 2), (1, 3, H, 9)], "must be of one size"),
        (CCNN, [SCORES, (1, 1, H, W)], "the picture has three channels"),
        (MEANFIELD, [SCORES, (1, 3, H, W), PICTURE], "two maps of scores of 2 classes"),
        (
            'type: "MultiStageMeanfield" multi_stage_meanfield_param { theta_beta: 0 }',
            [SCORES, SCORES, PICTURE],
            "must be above 0",
        ),
    ],
)
def test_bad_settings(text, shapes, says):
    with pytest.raises(ValueError, match=says):
        Layers(text, shapes)


def test_a_picture_larger_than_its_scores():
    run = Layers(DEEPLAB.format(""), [SCORES, (1, 2), PICTURE])
    run.bottom[1].data[...] = [H + 1, W]
    with pytest.raises(ValueError, match="picture 0 is said to be of 4x4, the scores are of 3x4"):
        run.forward()
