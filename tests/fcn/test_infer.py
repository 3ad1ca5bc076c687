"""`fcn infer` with a net whose answer is known: the strongest channel."""

import re

import numpy as np
import pytest
import tiny_model
from colours import GREEN, RED, indices
from PIL import Image
from places import ROOT

import caffe
from fcn import places, prototxts
from fcn.cli import script
from fcn.vis import make_palette, vis_seg


def run(*arguments):
    return script("infer", "infer.py", ["--cpu", *map(str, arguments)])


def test_classes_overlay_and_shares(model, scene, tmp_path, capsys):
    Image.fromarray(scene).save(tmp_path / "s.png")
    assert run("--model", model, "--out", "made/here", "s.png") == 0
    with Image.open("made/here/s_classes.png") as image:
        assert image.mode == "P" and image.getpalette()[3:6] == [128, 0, 0]
        seg = np.asarray(image)
    assert seg.shape == (40, 60)
    # pooling and upsampling blur the edges by two pixels; away from them the answer is exact
    assert (seg[2:28, 2:18] == 1).all() and (seg[2:28, 23:58] == 2).all()
    assert (seg[33:38, 2:58] == 0).all()
    with Image.open("made/here/s_overlay.png") as image:
        overlay = np.asarray(image)
    assert np.array_equal(overlay, vis_seg(scene, seg, make_palette(256)))
    line = capsys.readouterr().out.splitlines()[-1]
    counts = np.bincount(seg.ravel())
    for name, count in zip(("background", "aeroplane", "bicycle"), counts):
        assert f"{name} {100 * count / 2400:.1f}%" in line
    assert line.startswith("s.png (60x40): bicycle")  # the largest share first


@pytest.mark.parametrize("size", [(1, 1), (2, 77), (41, 3)])
def test_any_size(model, tmp_path, size):
    Image.fromarray(np.full((*size, 3), GREEN, np.uint8)).save(tmp_path / "g.png")
    assert run("--model", model, "g.png") == 0
    with Image.open("results/g_classes.png") as image:
        seg = np.asarray(image)
    assert seg.shape == size and (seg == 1).all()


@pytest.mark.parametrize("size", [(1, 1), (100, 37), (33, 190)])
def test_the_embedded_task_s_net_takes_any_size(size, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    prototxt = ROOT / "voc-fcn8s/sample/val.prototxt"
    (tmp_path / "deploy.prototxt").write_text(
        prototxts.text_of(prototxts.deploy(prototxts.read_net(prototxt)))
    )
    net = caffe.Net("deploy.prototxt", caffe.TEST)
    rng = np.random.RandomState(0)
    for blobs in net.params.values():
        blobs[0].data[...] = rng.standard_normal(blobs[0].shape) / blobs[0].data[0].size ** 0.5
    net.save("w.caffemodel")
    Image.new("RGB", size[::-1]).save("s.png")
    assert run("--sample", "--weights", "w.caffemodel", "s.png") == 0
    assert indices("results/s_classes.png").shape == size


def test_large_pictures_are_segmented_smaller_but_answered_in_full(model, scene, tmp_path, capsys):
    large = np.repeat(np.repeat(scene, 5, 0), 5, 1)
    Image.fromarray(large).save(tmp_path / "large.png")
    assert run("--model", model, "--max-pixels", 2400, "large.png") == 0
    with Image.open("results/large_classes.png") as image:
        seg = np.asarray(image)
    assert seg.shape == (200, 300) and "over 2400 pixels" in capsys.readouterr().out
    assert (seg[15:140, 10:85] == 1).all() and (seg[15:140, 115:290] == 2).all()


def test_an_unreadable_picture_does_not_stop_the_others(model, scene, tmp_path, capsys):
    Image.fromarray(scene).save(tmp_path / "good.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "good.png").read_bytes()[:90])
    (tmp_path / "text.jpg").write_text("not a picture")
    names = ["absent.jpg", "cut.png", "text.jpg", "good.png"]
    assert run("--model", model, *names) == 1
    said = capsys.readouterr()
    for name in names[:3]:
        assert f"{name}: cannot be read: " in said.err
    assert "absent.jpg: cannot be read: No such file or directory" in said.err
    assert "text.jpg: cannot be read: no picture" in said.err
    assert "good.png (60x40)" in said.out and (tmp_path / "results/good_classes.png").exists()
    assert not (tmp_path / "results/cut_classes.png").exists()


def test_a_picture_too_large_for_the_memory_does_not_stop_the_others(
    model, scene, tmp_path, monkeypatch, capsys
):
    for name, pixels in (("large", np.tile(scene, (9, 9, 1))), ("small", scene)):
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    monkeypatch.setattr("caffe.running.memory.device_memory", lambda where: (2**22, 2**22))
    names = [str(tmp_path / f"{name}.png") for name in ("large", "small")]
    assert run("--model", model, *names) == 1
    err = capsys.readouterr().err
    assert re.fullmatch(
        r".*large\.png: .* with data .* needs about .*GiB.* fits; .*--max-pixels.*\n", err
    )
    made = {path.name for path in tmp_path.glob("results/*_classes.png")}
    assert made == {"small_classes.png"}


def test_pictures_of_one_name_do_not_overwrite_each_other(model, tmp_path):
    for folder, colour in (("a", GREEN), ("b", RED)):
        (tmp_path / folder).mkdir()
        Image.fromarray(np.full((9, 9, 3), colour, np.uint8)).save(tmp_path / folder / "x.png")
    assert run("--model", model, "a/x.png", "b/x.png") == 0
    for name, wanted in (("x", 1), ("x_2", 2)):
        with Image.open(f"results/{name}_classes.png") as image:
            assert (np.asarray(image) == wanted).all()


def test_missing_weights_exit_2(model, tmp_path, capsys):
    (model / "voc-tiny.caffemodel").unlink()
    assert run("--model", model, "s.png") == 2
    said = capsys.readouterr().err
    assert str(model / "voc-tiny.caffemodel") in said and "train it: fcn train" in said
    assert run("--model", model, "--weights", "w.caffemodel", "s.png") == 2
    assert str(tmp_path / "w.caffemodel") in capsys.readouterr().err


def test_a_model_that_does_not_exist_exits_2(capsys):
    assert run("--model", "voc-fcn4s", "s.png") == 2
    said = capsys.readouterr().err
    assert f"voc-fcn4s in {places.HOME}" in said and "did you mean voc-fcn" in said


def test_weights_that_do_not_do_are_told(model, scene, tmp_path, capsys):
    """Damaged: exit code 2 and no traceback. Of another net: which layers stay at zero."""
    Image.fromarray(scene).save("s.png")
    weights = model / "voc-tiny.caffemodel"
    (tmp_path / "cut.caffemodel").write_bytes(weights.read_bytes()[:-20])
    assert run("--model", model, "--weights", "cut.caffemodel", "s.png") == 2
    said = capsys.readouterr().err
    assert "cut.caffemodel: damaged" in said and "truncated" in said
    tiny_model.write_weights(model, weights)
    assert run("--model", model, "s.png") == 1
    said = capsys.readouterr().err
    assert f"{weights} leaves score_fr at zero" in said
    assert "score gives all 3 classes the same score at every pixel" in said
    assert "the weights of layer 'score_fr' (Convolution) are zero" in said
    assert f"the weights are those of {weights}" in said and not list(tmp_path.glob("results/*"))


def test_a_prototxt_that_does_not_parse_is_told_with_its_line(model, capsys):
    path = model / "val.prototxt"
    path.write_text(path.read_text().replace("kernel_size", "kernel_sise", 1))
    line = 1 + path.read_text()[: path.read_text().index("kernel_sise")].count("\n")
    assert run("--model", model, "s.png") == 2
    assert f"{path}:{line}:" in capsys.readouterr().err
    with pytest.raises(ValueError, match=f"val.prototxt:{line}:"):
        prototxts.read_net(path)


def test_out_that_is_a_file_is_told(model, scene, capsys):
    Image.fromarray(scene).save("s.png")
    assert run("--model", model, "--out", "s.png", "s.png") == 2
    assert "--out s.png is a file; name the folder" in capsys.readouterr().err
    assert run("--model", model, "--out", "s.png/below", "s.png") == 2
    assert "s.png/below: Not a directory" in capsys.readouterr().err
