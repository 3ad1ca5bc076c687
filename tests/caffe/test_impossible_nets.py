"""Nets that would take the machine down: refused with the layer's name, before anything is allocated."""

import resource
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import caffe
from caffe import build, filler
from caffe.layer import LAYER_TYPES


def source(*dims):
    shape = " ".join(f"dim: {dim}" for dim in dims)
    return f'layer {{ name: "in" type: "Input" top: "x" input_param {{ shape {{ {shape} }} }} }}\n'


def bad(kind, settings="", bottom="x"):
    return f'layer {{ name: "bad" type: "{kind}" bottom: "{bottom}" top: "y" {settings} }}'


SMALL = source(1, 3, 32, 32)
CONV = "convolution_param {{ num_output: 2 kernel_size: {} {} }}"
NETS = {
    "10^12 values": (source(10**6, 10**6), r"'in' \(Input\): blob 'x': shape .* holds 1000000000000"),
    "negative": (source(1, -3), r"'in' \(Input\): blob 'x': no dimension can be negative"),
    "dummy": (
        'layer { name: "bad" type: "DummyData" top: "x" dummy_data_param { shape { dim: 1000000 '
        "dim: 1000000 } } }",
        r"'bad' \(DummyData\): .* a blob at most 2147483647",
    ),
    "outputs": (
        SMALL + bad("InnerProduct", "inner_product_param { num_output: 4294967295 }"),
        r"'bad' \(InnerProduct\): .* a blob at most",
    ),
    "kernel": (SMALL + bad("Convolution", CONV.format(100, "")), r"'bad' \(Convolution\): no window"),
    "huge kernel": (SMALL + bad("Convolution", CONV.format(100_000, "")), r"'bad' .* at most"),
    "pad": (SMALL + bad("Convolution", CONV.format(3, "pad: 4000000000")), r"'bad' .* at most"),
    "stride": (SMALL + bad("Deconvolution", CONV.format(3, "stride: 1000000")), r"'bad' .* at most"),
    "no stride": (SMALL + bad("Convolution", CONV.format(3, "stride: 0")), r"'bad' .*stride"),
    "pooling": (SMALL + bad("Pooling", "pooling_param { kernel_size: 100 }"), r"'bad' .*no window fits"),
    "tile": (SMALL + bad("Tile", "tile_param { tiles: 2147483647 }"), r"'bad' \(Tile\): .* at most"),
    "im2col": (
        SMALL + bad("Im2col", "convolution_param { kernel_size: 30 pad: 3000 }"),
        r"'bad' \(Im2col\): .* at most",
    ),
    "interp": (SMALL + bad("Interp", "interp_param { height: 100000 width: 99999 }"), r"'bad' .* at most"),
    "cycle": (
        SMALL + bad("ReLU", bottom="z") + 'layer { name: "two" type: "ReLU" bottom: "y" top: "z" }',
        r"'bad' \(ReLU\): bottom 0: no blob 'z' is computed before it, only later, by layer 'two'",
    ),
    "itself": (SMALL + bad("ReLU", bottom="y"), r"'bad' \(ReLU\): bottom 0: no blob 'y'"),
}  # fmt: skip


@pytest.mark.parametrize("which", NETS)
def test_refused(which, net_of):
    text, said = NETS[which]
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    with pytest.raises(ValueError, match=f"layer {said}"):
        net_of(text)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 << 10  # kilobytes
    assert time.monotonic() - began < 2


def test_weights_that_do_not_fit_into_the_machine(net_of, monkeypatch):
    monkeypatch.setattr(filler, "device_memory", lambda where: (1 << 33, 1 << 29))
    text = "inner_product_param { num_output: 200000 weight_filler { type: 'xavier' } }"
    with pytest.raises(
        ValueError, match=r"layer 'bad' .*2.3 GiB for a parameter of .*0.5 are free"
    ):
        net_of(SMALL + bad("InnerProduct", text))


def test_a_million_layers(net_of, monkeypatch):
    monkeypatch.setattr(build, "MOST_LAYERS", 3)
    relus = "".join(
        f'layer {{ name: "r{i}" type: "ReLU" bottom: "x" top: "x" }}\n' for i in range(9)
    )
    with pytest.raises(ValueError, match=r"layer 'r2' \(ReLU\) is the first of 7 layers too many"):
        net_of(SMALL + relus)


def test_a_batch_of_billions(net_of, tmp_path):
    Image.fromarray(np.zeros((2, 2, 3), np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "list").write_text(f"{tmp_path}/a.png 1\n")
    text = f'image_data_param {{ source: "{tmp_path}/list" batch_size: 4294967295 }}'
    with pytest.raises(ValueError, match=r"layer 'd' \(ImageData\): batch_size 4294967295, of"):
        net_of(f'layer {{ name: "d" type: "ImageData" top: "a" {text} }}')


def test_memory_that_cannot_be_had_names_the_layer(net_of, monkeypatch):
    def setup(self, bottom, top):
        raise MemoryError("Unable to allocate 16 GiB")

    monkeypatch.setattr(LAYER_TYPES["ReLU"], "setup", setup)
    with pytest.raises(MemoryError, match=r"layer 'bad' \(ReLU\): Unable to allocate"):
        net_of(SMALL + bad("ReLU"))


def test_errors_of_a_user_s_own_layer_stay_as_they_are(net_of, monkeypatch):
    class Own(caffe.Layer):
        def setup(self, bottom, top):
            raise ValueError("of mine")

        def reshape(self, bottom, top):
            pass

        def forward(self, bottom, top):
            pass

    monkeypatch.setitem(sys.modules, "layers_of_mine", SimpleNamespace(Own=Own))
    with pytest.raises(ValueError, match="^of mine$"):
        net_of(
            'layer { name: "o" type: "Python" python_param { module: "layers_of_mine" layer: "Own" } }'
        )
