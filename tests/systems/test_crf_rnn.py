"""CRF as RNN: the released net, what the net starts from, and that mean field is the dense CRF's."""

import runpy

import numpy as np
import pytest
from google.protobuf import text_format
from places import ROOT

import caffe
from caffe.proto import caffe_pb2
from fcn import prototxts
from fcn.crf import DenseCRF, Parameters

FOLDER = ROOT / "systems/crf-rnn"
RATES = "param { lr_mult: 1 decay_mult: 1 } param { lr_mult: 2 decay_mult: 0 }"
STAGES = {1: (2, 64), 2: (2, 128), 3: (3, 256), 4: (3, 512), 5: (3, 512)}


def convolution(name, bottom, outputs, kernel, pad=0, top=None):
    padding = f"pad: {pad}" if pad else ""
    return (
        f'layer {{ name: "{name}" type: "Convolution" bottom: "{bottom}" top: "{top or name}" {RATES} '
        f"convolution_param {{ num_output: {outputs} {padding} kernel_size: {kernel} engine: CAFFE }} }}"
    )


def in_place(name, kind, blob, more=""):
    return f'layer {{ name: "{name}" type: "{kind}" bottom: "{blob}" top: "{blob}" {more} }}'


def upsampling(name, bottom, kernel, param, more="", top=None):
    return (
        f'layer {{ name: "{name}" type: "Deconvolution" bottom: "{bottom}" top: "{top or name}" '
        f"param {{ {param} }} convolution_param {{ num_output: 21 {more} kernel_size: {kernel} "
        f'stride: {kernel // 2} weight_filler {{ type: "bilinear" }} }} }}'
    )


def of_two(kind, name, first, second, top, more=""):
    return (
        f'layer {{ type: "{kind}" name: "{name}" bottom: "{first}" bottom: "{second}" '
        f'top: "{top}" {more} }}'
    )


def released():
    """TVG_CRFRNN_new_deploy.prototxt as its authors released it."""
    lines = ['name: "CRFRNN-VOC" input: "data" input_dim: 1 input_dim: 3 input_dim: 500']
    lines += ["input_dim: 500 force_backward: true"]
    blob = "data"
    for stage, (depth, channels) in STAGES.items():
        for i in range(1, depth + 1):
            name = f"conv{stage}_{i}"
            lines.append(convolution(name, blob, channels, 3, 100 if blob == "data" else 1))
            lines.append(in_place(f"relu{stage}_{i}", "ReLU", name))
            blob = name
        lines.append(
            f'layer {{ name: "pool{stage}" type: "Pooling" bottom: "{blob}" top: "pool{stage}" '
            "pooling_param { pool: MAX kernel_size: 2 stride: 2 } }"
        )
        blob = f"pool{stage}"
    for n, kernel in ((6, 7), (7, 1)):
        lines.append(convolution(f"fc{n}", blob, 4096, kernel))
        lines.append(in_place(f"relu{n}", "ReLU", f"fc{n}"))
        lines.append(
            in_place(f"drop{n}", "Dropout", f"fc{n}", "dropout_param { dropout_ratio: 0.5 }")
        )
        blob = f"fc{n}"
    fuse, flat = "eltwise_param { operation: SUM }", "bias_term: false"
    lines += [
        convolution("score-fr", "fc7", 21, 1, top="score"),
        upsampling("score2", "score", 4, "lr_mult: 1"),
        convolution("score-pool4", "pool4", 21, 1),
        of_two("Crop", "crop", "score-pool4", "score2", "score-pool4c"),
        of_two("Eltwise", "fuse", "score2", "score-pool4c", "score-fused", fuse),
        upsampling("score4", "score-fused", 4, "lr_mult: 1 decay_mult: 1", flat),
        convolution("score-pool3", "pool3", 21, 1),
        of_two("Crop", "crop", "score-pool3", "score4", "score-pool3c"),
        of_two("Eltwise", "fuse", "score4", "score-pool3c", "score-final", fuse),
        upsampling("upsample", "score-final", 16, "lr_mult: 0", flat, top="bigscore"),
        of_two("Crop", "crop", "bigscore", "data", "coarse"),
        'layer { type: "Split" name: "splitting" bottom: "coarse" top: "unary" top: "Q0" }',
        'layer { name: "inference1" type: "MultiStageMeanfield" bottom: "unary" bottom: "Q0"',
        'bottom: "data" top: "crfscore" param { lr_mult: 10000 } param { lr_mult: 10000 }',
        "param { lr_mult: 1000 } multi_stage_meanfield_param {",
        f'spatial_filter_weights_str: "{" ".join("3" * 21)}" num_iterations: 5 threshold: 2',
        f'bilateral_filter_weights_str: "{" ".join("5" * 21)}" compatibility_mode: POTTS',
        "theta_alpha: 160 theta_beta: 3 theta_gamma: 3 } }",
    ]
    return text_format.Parse("\n".join(lines), caffe_pb2.NetParameter())


def test_the_deploy_net_is_the_released_one_message_for_message():
    path = FOLDER / "TVG_CRFRNN_new_deploy.prototxt"
    ours, theirs = prototxts.read_text(path, caffe_pb2.NetParameter()), released()
    for a, b in zip(ours.layer, theirs.layer, strict=True):
        assert text_format.MessageToString(a) == text_format.MessageToString(b)
    assert ours == theirs


@pytest.mark.parametrize("name, rounds", [("train", 5), ("val", 10), ("deploy", 10)])
def test_the_trained_net_has_the_released_weights(name, rounds):
    """Every layer with weights has the released one's name and sizes, so that its file fits."""

    def sizes(net):
        return {
            layer.name: (
                layer.convolution_param.num_output,
                *layer.convolution_param.kernel_size,
                layer.convolution_param.bias_term,
            )
            for layer in net.layer
            if layer.type in ("Convolution", "Deconvolution", "MultiStageMeanfield")
        }

    net = prototxts.read_net(FOLDER / f"{name}.prototxt")
    assert sizes(net) == sizes(released())
    (crf,) = (layer for layer in net.layer if layer.type == "MultiStageMeanfield")
    assert crf.multi_stage_meanfield_param.num_iterations == rounds
    offsets = [layer.crop_param.offset[0] for layer in net.layer if layer.type == "Crop"]
    assert offsets == [5, 9, 31]  # as the released net's files of later editions state them


@pytest.fixture(scope="module")
def nets():
    """The embedded task's FCN-8s with its weights, and CRF-RNN started from it."""
    fcn8s = prototxts.load(
        ROOT / "voc-fcn8s/sample/val.prototxt",
        ROOT / "voc-fcn8s/sample/voc-fcn8s.caffemodel.h5",
    )
    net = prototxts.build(FOLDER / "sample/val.prototxt")
    runpy.run_path(str(FOLDER / "solve.py"))["start_from_fcn8s"](net, fcn8s)
    picture = np.random.default_rng(0).uniform(-90, 90, (1, 3, 50, 66)).astype(np.float32)
    for each in (fcn8s, net):
        each.blobs["data"].reshape(*picture.shape)
        each.blobs["data"].data[...] = picture
        each.forward()
    return fcn8s, net


def test_it_starts_from_fcn8s(nets):
    fcn8s, net = nets
    np.testing.assert_allclose(
        net.blobs["coarse"].data, fcn8s.blobs["score"].data, rtol=1e-4, atol=1e-4
    )


def test_it_starts_as_the_dense_crf_of_the_same_parameters(nets):
    _, net = nets
    theta = Parameters(
        pos_w=1, pos_xy_std=3, bi_w=20, bi_xy_std=30, bi_rgb_std=40, max_iter=10
    )  # as net.py states them
    image = net.blobs["data"].data[0].transpose(1, 2, 0)
    wanted = DenseCRF(net.blobs["coarse"].data[0], image, theta).infer()
    scores = net.blobs["score"].data[0]
    found = np.exp(scores - scores.max(0))
    np.testing.assert_allclose(found / found.sum(0), wanted, atol=1e-4)
    assert not np.allclose(wanted, np.exp(net.blobs["coarse"].data[0]), atol=0.1)


def test_everything_learns(tmp_path):
    """The loss's gradient reaches the three matrices of the CRF, and FCN-8s below it to its first layer."""
    text = prototxts.read_net(FOLDER / "sample/train.prototxt")
    shapes = "shape { dim: [1, 3, 33, 40] } shape { dim: [1, 1, 33, 40] }"
    source = f'type: "Input" top: "data" top: "label" input_param {{ {shapes} }}'
    text.layer[0].CopyFrom(text_format.Parse(source, caffe_pb2.LayerParameter()))
    path = tmp_path / "train.prototxt"
    path.write_text(prototxts.text_of(text))
    net, rng = caffe.Net(str(path), caffe.TRAIN), np.random.default_rng(1)
    for name, blobs in net.params.items():
        if name != "inference1":
            blobs[0].data[...] = rng.normal(0, blobs[0].data[0].size ** -0.5, blobs[0].shape)
    net.blobs["data"].data[...] = rng.uniform(-90, 90, net.blobs["data"].shape)
    net.blobs["label"].data[...] = rng.integers(0, 11, net.blobs["label"].shape)
    net.forward()
    net.backward()
    assert [list(blob.shape) for blob in net.params["inference1"]] == [[1, 1, 11, 11]] * 3
    for name in ("inference1", "score-fr", "score2", "score4", "conv3_1", "conv1_1"):
        for blob in net.params[name]:
            assert np.abs(blob.diff).max() > 0, name
