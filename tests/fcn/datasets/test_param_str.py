"""Keys of param_str: every published one is known, any other is an error that says what to do."""

import ast

import pytest
from places import ROOT
from trees import build, fails, voc_params

from caffe.proto import caffe_pb2
from fcn import prototxts
from fcn.datasets import param_str
from fcn.datasets.nyud import NYUDSegDataLayer
from fcn.datasets.pascalcontext import PASCALContextSegDataLayer
from fcn.datasets.sample.layers import DigitCropDataLayer
from fcn.datasets.siftflow import SIFTFlowSegDataLayer
from fcn.datasets.voc import SBDDSegDataLayer, VOCSegDataLayer

LAYERS = {
    kind.__name__: kind
    for kind in (
        DigitCropDataLayer,
        NYUDSegDataLayer,
        PASCALContextSegDataLayer,
        SBDDSegDataLayer,
        SIFTFlowSegDataLayer,
        VOCSegDataLayer,
    )
}
# What the original editions of 2016 write, and what their data layers' docstrings offer besides
PUBLISHED = {
    "VOCSegDataLayer": ("voc_dir", "split", "mean", "seed", "randomize"),
    "SBDDSegDataLayer": ("sbdd_dir", "split", "mean", "seed", "randomize"),
    "NYUDSegDataLayer": ("nyud_dir", "split", "tops", "seed", "randomize"),
    "SIFTFlowSegDataLayer": ("siftflow_dir", "split", "seed", "randomize"),
    "PASCALContextSegDataLayer": ("voc_dir", "context_dir", "split", "seed", "randomize"),
}


def made(kind, params):
    layer = kind(caffe_pb2.LayerParameter(name="data", type="Python"))
    layer.param_str = params if isinstance(params, str) else repr(params)
    return layer


def test_every_prototxt_of_the_project_states_known_keys():
    count = 0
    patterns = ("*/*.prototxt", "*-*/sample/*.prototxt", "systems/**/*.prototxt")
    for path in [path for pattern in patterns for path in ROOT.glob(pattern)]:
        if path.name.endswith("solver.prototxt"):
            continue
        for layer in prototxts.read_net(path).layer:
            kind = layer.type == "Python" and LAYERS.get(layer.python_param.layer)
            if kind and kind is not DigitCropDataLayer:
                made(kind, layer.python_param.param_str).parse_params()
                count += 1
            elif kind:
                made(kind, layer.python_param.param_str).setup([], [])
    assert count >= 2 * 15 + 2 * 3


@pytest.mark.parametrize("name", PUBLISHED)
def test_keys_of_the_original_editions_pass_for_every_layer(name):
    params = dict.fromkeys([*PUBLISHED[name], "classes"], 1)
    assert made(LAYERS[name], params).parse_params() == params
    with pytest.raises(KeyError, match="sead.*did you mean seed?"):
        made(LAYERS[name], params | {"sead": 1}).parse_params()


def test_batch_size_is_told_what_does_it(voc):
    words = ("VOCSegDataLayer: param_str has batch_size, which this layer does not know",)
    words += ("voc_dir, split, mean, seed, randomize, classes", "pictures differ in size")
    fails(VOCSegDataLayer, voc_params(voc, batch_size=4), KeyError, *words, "iter_size in solver")


@pytest.mark.parametrize(
    "key, hint",
    [
        ("randomise", "did you mean randomize?"),
        ("Mean", "did you mean mean?"),
        ("shuffle", "no shuffle: randomize does it"),
        ("mean_file", "no mean_file: mean does it"),
        ("BATCH_SIZE", "no BATCH_SIZE: a batch holds one picture"),
        ("Num-Classes", "no Num-Classes: classes does it"),
        ("SPLIT", "did you mean split?"),
        ("mirror", "pictures are read whole"),
        (7, "param_str has 7"),
    ],
)
def test_other_unknown_keys(voc, key, hint):
    fails(VOCSegDataLayer, {**voc_params(voc), key: 1}, KeyError, hint)


def test_a_reader_outside_of_nets_knows_no_other_keys(voc):
    with pytest.raises(KeyError, match="did you mean split?"):
        VOCSegDataLayer.reader(**voc_params(voc), splitt="train")


def test_a_subclass_declares_its_own_keys(voc):
    class Scaled(VOCSegDataLayer):
        optional = (*VOCSegDataLayer.optional, "scale")

    build(Scaled, voc_params(voc, scale=2))


def test_the_classifier_s_layer_has_batches():
    params = ast.literal_eval("{'role': 'val', 'seed': 1, 'batch_size': 8}")
    with pytest.raises(KeyError, match="did you mean batch?"):
        made(DigitCropDataLayer, params).setup([], [])


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "{'a': open('x')}",
        "{**{}, 'a': [i for i in (1,)]}",
        "(" * 5_000,
        "-" * 50_000 + "1",
        "[" * 300 + "]" * 300,
        "{{}: 1}",
        "{'a': '" + "x" * 100_001 + "'}",
    ],
)
def test_nothing_but_a_short_literal_is_read(text):
    with pytest.raises(ValueError, match="param_str"):
        param_str.parse(text)
