"""Bad data and bad settings of the data layers: what each error says."""

import numpy as np
import pytest
from datasets import SIZES, Top, build, mat, palette_png, pattern, text, voc_params
from PIL import Image

from fcn.datasets import layer as layer_module
from fcn.datasets.nyud import NYUDSegDataLayer
from fcn.datasets.pascalcontext import PASCALContextSegDataLayer
from fcn.datasets.voc import VOCSegDataLayer


def fails(kind, params, error, *words, tops=2):
    with pytest.raises(error) as raised:
        build(kind, params, tops=tops)
    for word in words:
        assert word in str(raised.value)


def test_no_data_set(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    params = voc_params("../data/nowhere/VOC2011")
    here = str(tmp_path.parent / "data/nowhere/VOC2011")
    there = str(layer_module.WORK / "data/nowhere/VOC2011")
    fails(VOCSegDataLayer, params, FileNotFoundError, here, there, "data/voc/README.md")
    (tmp_path / "voc-x").mkdir()
    monkeypatch.chdir(tmp_path / "voc-x")  # a model's folder: both are one, and named once
    monkeypatch.setattr(layer_module, "WORK", tmp_path)
    once = f"no folder {tmp_path / 'data/nowhere/VOC2011'}\n"
    fails(VOCSegDataLayer, params, FileNotFoundError, once)


def test_folder_from_cwd_first_then_beside_the_modules(voc, tmp_path, monkeypatch):
    monkeypatch.setattr(layer_module, "WORK", tmp_path)
    (tmp_path / "model").mkdir()
    monkeypatch.chdir(tmp_path / "model")
    layer, _ = build(VOCSegDataLayer, voc_params("../VOC2011"))
    assert layer.voc_dir.samefile(voc)
    monkeypatch.chdir("/")
    layer, _ = build(VOCSegDataLayer, voc_params("../VOC2011"))
    assert layer.voc_dir.samefile(voc)


def test_no_split(voc):
    path = str(voc / "ImageSets/Segmentation/other.txt")
    fails(VOCSegDataLayer, voc_params(voc, split="other"), FileNotFoundError, path, "README.md")


def test_split_under_the_name_of_the_originals_scripts(voc):
    layer, _ = build(VOCSegDataLayer, voc_params(voc, split="segvalid11"))
    assert layer.indices == list(SIZES)


def test_empty_split(voc):
    text(voc / "ImageSets/Segmentation/none.txt")
    fails(VOCSegDataLayer, voc_params(voc, split="none"), ValueError, "names no picture")


def test_every_missing_file_is_told(voc):
    ids = [f"gone{i:02}" for i in range(15)]
    text(voc / "ImageSets/Segmentation/seg11valid.txt", "a", *ids)
    params = voc_params(voc)
    words = [f"gone{i:02}.{end}" for i in range(15) for end in ("jpg", "png")]
    words += ["30 files", "data/voc/README.md"]
    fails(VOCSegDataLayer, params, FileNotFoundError, *words)
    text(voc / "ImageSets/Segmentation/seg11valid.txt", *SIZES)
    (voc / "SegmentationClass/b.png").unlink()
    fails(VOCSegDataLayer, params, FileNotFoundError, "1 files", "b.png")


def test_rgb_label(voc):
    Image.new("RGB", (83, 61)).save(voc / "SegmentationClass/a.png")
    fails(VOCSegDataLayer, voc_params(voc), ValueError, "a.png", "RGB", "palette")


def test_label_out_of_range(voc):
    palette_png(voc / "SegmentationClass/a.png", pattern((61, 83), [0, 21, 94, 255]))
    fails(VOCSegDataLayer, voc_params(voc), ValueError, "a.png", "21, 94", "0 to 20")
    build(VOCSegDataLayer, voc_params(voc, classes=95))  # a set of one's own


@pytest.mark.parametrize("values", [[0, 1, 41], [1, 257], [0, -3]])
def test_mat_label_out_of_range(nyud, values):
    labels = pattern(SIZES["a"], values).astype(np.int16)
    mat(nyud / "segmentation/img_a.mat", segmentation=labels)
    params = {"nyud_dir": str(nyud), "split": "test", "tops": ["color", "label"]}
    fails(NYUDSegDataLayer, params, ValueError, "img_a.mat", str(values[-1]), "0 to 40")


def test_context_label_nobody_named(context):
    labels = pattern(SIZES["a"], [1, 460]).astype(np.uint16)
    mat(context / "pascal-context/trainval/a.mat", LabelMap=labels)
    params = {"voc_dir": str(context / "pascal"), "context_dir": str(context / "pascal-context")}
    fails(PASCALContextSegDataLayer, params | {"split": "val"}, ValueError, "a.mat", "460")


def test_sizes_differ(voc):
    palette_png(voc / "SegmentationClass/a.png", np.zeros((60, 83)))
    fails(VOCSegDataLayer, voc_params(voc), ValueError, "a: sizes", "61x83", "60x83")


def test_no_hha(nyud):
    for path in (nyud / "data/hha").iterdir():
        path.unlink()
    (nyud / "data/hha").rmdir()
    params = {"nyud_dir": str(nyud), "split": "test", "tops": ["hha", "label"]}
    fails(NYUDSegDataLayer, params, FileNotFoundError, "HHA", "data/hha", "data/nyud/README.md")
    build(NYUDSegDataLayer, params | {"tops": ["color", "label"]})


@pytest.mark.parametrize(
    "values, word",
    [([2, 3, 1], "millimetres"), ([250, 190], "millimetres"), ([25500, 19000], "millimetres"),
     ([1500, 0], "0 at")],
)  # fmt: skip
def test_wrong_depth(nyud, values, word):
    depth = pattern(SIZES["a"], values).astype(np.uint16)
    Image.fromarray(depth).save(nyud / "data/depth/img_a.png")
    params = {"nyud_dir": str(nyud), "split": "test", "tops": ["depth", "label"]}
    fails(NYUDSegDataLayer, params, ValueError, "img_a.png", word)


@pytest.mark.parametrize(
    "path, content, word",
    [
        ("segmentation/img_a.mat", b"MATLAB 5.0, cut short", "not a readable .mat file"),
        (
            "segmentation/img_a.mat",
            {"other": np.zeros(3)},
            "no variable 'segmentation' (it has other)",
        ),
        ("data/images/img_a.png", b"", "not a readable picture"),
    ],
)
def test_broken_files(nyud, path, content, word):
    if isinstance(content, bytes):
        (nyud / path).write_bytes(content)
    else:
        mat(nyud / path, **content)
    params = {"nyud_dir": str(nyud), "split": "test", "tops": ["color", "label"]}
    fails(NYUDSegDataLayer, params, ValueError, path, word)


@pytest.mark.parametrize(
    "params, error, word",
    [
        ("{'split': 'val'", ValueError, "not a Python literal"),
        ("__import__('os').getcwd()", ValueError, "not a Python literal"),
        ("", ValueError, "must be a dict"),
        ("[1, 2]", ValueError, "must be a dict"),
        ("{'split': 'val', 'mean': (1, 2, 3)}", KeyError, "lacks voc_dir (it has split, mean)"),
    ],
)
def test_param_str(params, error, word):
    fails(VOCSegDataLayer, params, error, word)


@pytest.mark.parametrize("mean", [(1, 2), "grey", (1, 2, 3, 4)])
def test_mean(voc, mean):
    params = voc_params(voc) | {"mean": mean}
    fails(VOCSegDataLayer, params, ValueError, "three numbers", repr(mean))


def test_number_of_blobs(voc, nyud):
    fails(VOCSegDataLayer, voc_params(voc), ValueError, "2 tops (data, label), got 3", tops=3)
    with pytest.raises(ValueError, match="takes no bottom, got 1"):
        build(VOCSegDataLayer, voc_params(voc), bottoms=[Top()])
    params = {"nyud_dir": str(nyud), "split": "test", "tops": ["colour", "label"]}
    fails(NYUDSegDataLayer, params, ValueError, "color, depth, hha, label", "colour")
