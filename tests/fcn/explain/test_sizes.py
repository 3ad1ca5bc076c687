"""`fcn explain` against the published offsets and the shapes of nets that are built."""

import pytest
from places import ROOT

import caffe
from caffe import layers as L
from fcn import explain, prototxts, tasks
from fcn.cli import main
from fcn.nets import decoder, vgg16

MODELS = {  # the published offsets, in order
    "voc-fcn32s": [19],
    "voc-fcn16s": [5, 27],
    "voc-fcn8s-atonce": [5, 9, 31],
    "voc-fcn-alexnet": [18],
    "nyud-fcn32s-color-d": [19],
    "nyud-fcn32s-color-hha": [19],
    "siftflow-fcn8s": [5, 9, 31, 5, 9, 31],
}


def run(*arguments):
    return main(["explain", *map(str, arguments)])


def sample(fc6=4):
    """The embedded task's FCN-8s, with another kernel in fc6 if asked for."""
    n = caffe.NetSpec()
    n.data = L.Input(shape=dict(dim=[1, 3, 180, 180]))
    vgg16(n, n.data, **tasks.SAMPLE.body | {"fc6": fc6})
    decoder(n, tasks.SAMPLE.classes, skips=["pool4", "pool3"])
    return n.to_proto()


@pytest.mark.parametrize("model", MODELS)
def test_offsets_of_the_published_nets_follow(model, capsys):
    assert run("--", model) == 0
    out = capsys.readouterr().out
    lines = [line for line in out.splitlines() if "as in the file" in line]
    assert [int(line.split("offset ")[1].split(",")[0]) for line in lines] == MODELS[model]
    assert "pictures of every size fit" in out and "PROBLEM" not in out
    smallest = 189 if model == "voc-fcn-alexnet" else 193  # fc6 covers 6 or 7 of pool5
    assert f"has pad 100; with pad {5 if smallest == 189 else 1}" in out
    assert f"pictures below {smallest} pixels" in out


def test_lengths_are_those_of_the_net_or_neither_fits(net_of):
    """At an eighth of the width; an fc6 of 3x3 leaves some sizes without enough of pool3."""
    net, made = net_of(prototxts.text_of(sample(fc6=3))), explain.layers_and_tops(sample(fc6=3))
    fits = {}
    for size in (1, 31, 33, 61, 83, 180, 240):
        net.blobs["data"].reshape(1, 3, size, size)
        try:
            found = explain.blob_lengths(made, size)
        except ValueError as error:
            with pytest.raises(ValueError, match=str(error).split(":")[0]):
                net.reshape()
            fits[size] = False
            explain.blob_lengths(made, explain.next_size_that_fits(made, size))
            continue
        net.reshape()
        assert found == {name: net.blobs[name].data.shape[3] for name in found} and len(found) > 30
        fits[size] = True
    assert fits[180] and fits[240] and not all(fits.values())


def test_pooling_with_pad_as_caffe_clips_it(net_of, tmp_path):
    text = """layer { name: "d" type: "Input" top: "d" input_param { shape { dim: [1, 1, 9, 9] } } }
    layer { name: "p" type: "Pooling" bottom: "d" top: "p" pooling_param {
      kernel_size: 2 stride: 2 pad: 1 } }"""
    net = net_of(text)
    made = explain.layers_and_tops(prototxts.read_net(tmp_path / "net.prototxt"))
    for size in range(1, 12):
        net.blobs["d"].reshape(1, 1, size, size)
        net.reshape()
        assert explain.blob_lengths(made, size)["p"] == net.blobs["p"].data.shape[3]


def test_a_wrong_offset_is_told():
    net = sample()
    (layer,) = (layer for layer in net.layer if layer.name == "score_pool4c")
    layer.crop_param.offset[:] = [layer.crop_param.offset[0] + 4]
    text = "\n".join(explain.explain(net))
    right = layer.crop_param.offset[0] - 4
    assert f"PROBLEM: so the offset should be {right}; the file says {right + 4}" in text


def test_sizes_that_do_not_fit_are_told(net_of):
    net = sample()
    for layer in net.layer:
        if layer.name == "conv1_1":
            layer.convolution_param.pad[:] = [1]
    with pytest.raises(ValueError, match="fc6: its kernel does not fit into a bottom of 2"):
        explain.blob_lengths(explain.layers_and_tops(net), 64)
    with pytest.raises(ValueError):
        net_of(prototxts.text_of(net)).reshape()
    assert "PROBLEM: not all pictures fit" in "\n".join(explain.explain(net))


def test_what_is_no_net_exits_2(capsys):
    assert run("voc-fcn4s") == 2
    assert run(ROOT / "voc-fcn8s/solver.prototxt") == 2
    assert "fcn explain: " in capsys.readouterr().err
