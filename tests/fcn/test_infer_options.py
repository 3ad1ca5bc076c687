"""`fcn infer` from the command line: what it is given, what it writes, and what it says when it cannot."""

import json
from pathlib import Path

import numpy as np
import pytest
import tiny_model
from colours import BLUE, GREEN, RED, indices
from PIL import Image

from fcn import segmenter
from fcn.cli import main


def run(*arguments):
    return main(["infer", "--cpu", *map(str, arguments)])


@pytest.fixture
def photos(model, tmp_path):
    """A folder of pictures of one colour, beside the model."""
    for name, colour in (("blue.png", BLUE), ("in/green.PNG", GREEN), ("red.bmp", RED)):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((12, 16, 3), colour, np.uint8)).save(path)
    return tmp_path / "photos"


def made(folder="results"):
    return sorted(path.name for path in Path(folder).iterdir())


BOTH = [
    f"{name}_{what}.png" for name in ("blue", "green", "red") for what in ("classes", "overlay")
]


def test_a_folder_twice(model, photos, capsys):
    """The second time its own results are not pictures, and it makes the same files."""
    for words in (["photos"], [".", "photos/*.bmp"]):
        assert run("--model", model, *words) == 0
        out = capsys.readouterr().out
        assert made() == BOTH
        for name, share in (
            ("blue.png", "background"),
            ("green.PNG", "aeroplane"),
            ("red.bmp", "bicycle"),
        ):
            assert f"{name} (16x12): {share} 100.0%" in out
    assert "3 pictures; 6 results of earlier runs left out" in out


def test_only_results_are_told(model, photos, capsys):
    run("--model", model, "photos")
    assert run("--model", model, "results") == 2
    assert "nothing but 6 results of earlier runs" in capsys.readouterr().err


def test_results_beside_the_pictures(model, photos, monkeypatch, capsys):
    monkeypatch.chdir(photos)
    for _ in range(2):
        assert run("--model", model, "--out", ".", "*.png", "*.bmp") == 0
    assert "2 pictures; 4 results of earlier runs left out" in capsys.readouterr().out
    assert len(made(".")) == 3 + 4


def test_results_of_another_picture_are_kept(model, photos):
    Image.fromarray(np.full((9, 9, 3), RED, np.uint8)).save("blue.png")
    for words in (["photos/blue.png"], ["blue.png"], ["photos/blue.png"]):
        assert run("--model", model, *words) == 0
    assert (indices("results/blue_classes.png") == 0).all()
    assert (indices("results/blue_2_classes.png") == 2).all() and len(made()) == 4


def test_words_that_name_nothing_do_not_stop_the_others(model, photos, capsys):
    assert run("--model", model, "*.tif", "photos/red.bmp", "@gone.txt", "gone.jpg") == 1
    said = capsys.readouterr()
    assert "*.tif: no file has such a name" in said.err and "gone.txt: a list" in said.err
    assert "gone.jpg: cannot be read: No such file" in said.err
    assert "2 pictures\n" in said.out and "red_classes.png" in made()
    assert run("--model", model, "*.tif") == 2
    assert "*.tif: no file has such a name" in capsys.readouterr().err


def test_what_is_not_plain_is_said(model, photos, capsys):
    frames = [Image.new("RGB", (5, 4), colour) for colour in (RED, BLUE)]
    frames[0].save("moving.gif", save_all=True, append_images=frames[1:])
    Image.fromarray(np.full((4, 5), 3000, np.uint16)).save("deep.png")
    assert run("--model", model, "moving.gif", "deep.png", "--max-pixels", 10) == 0
    out = capsys.readouterr().out
    assert "moving.gif: of its 2 frames or pages the first is read" in out
    assert "deep.png: its values stay below 4096: read as 12 bits" in out
    assert "deep.png: over 10 pixels, so segmented at a smaller scale" in out


def test_huge_pictures(model, photos, monkeypatch, capsys, recwarn):
    """Up to twice Pillow's limit they are segmented without its warning; others are told."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    Image.new("RGB", (21, 10), BLUE).save("bomb.png")
    assert run("--model", model, "photos/blue.png", "bomb.png") == 1
    said = capsys.readouterr()
    assert (
        said.err == "bomb.png: cannot be read: it has over 200 pixels. Way out: make it smaller\n"
    )
    assert "blue.png (16x12): background 100.0%" in said.out and not recwarn.list


# ---- what is written


def test_classes(model, photos, scene, capsys):
    Image.fromarray(scene).save("s.png")
    assert run("--model", model, "s.png", "--classes", "aeroplane, background", "--json") == 0
    line = capsys.readouterr().out.splitlines()[-1]
    assert "aeroplane" in line and "bicycle" not in line
    seg = indices("results/s_classes.png")
    assert set(np.unique(seg)) == {0, 1, 2}  # all of them
    overlay = indices("results/s_overlay.png")
    assert np.array_equal(overlay[seg != 1], scene[seg != 1])
    assert not (overlay[seg == 1] == scene[seg == 1]).all(1).any()
    found = json.loads(Path("results/s.json").read_text())
    assert {each["name"] for each in found["classes"]} == {"background", "aeroplane"}
    assert found["model"] == str(model) and found["weights"] == str(model / "voc-tiny.caffemodel")


@pytest.mark.parametrize(
    "names, said",
    [
        ("aeroplain", "no class 'aeroplain'; did you mean aeroplane?"),
        ("cow", "bicycle"),
        (",", "wants"),
    ],
)
def test_classes_that_are_none(model, photos, capsys, names, said):
    assert run("--model", model, "photos", "--classes", names) == 2
    err = capsys.readouterr().err
    assert "--classes" in err and said in err and not made()


def test_legend(model, photos, capsys):
    assert run("--model", model, "photos/red.bmp", "--legend") == 0
    assert capsys.readouterr().out.splitlines()[-1] == "  #008000  bicycle  100.0%"
    with Image.open("results/red_overlay.png") as image:
        assert image.width > 60


def test_everything_and_nothing_more(model, photos):
    assert run("--model", model, "photos/red.bmp", "--no-overlay", "--json", "--probabilities") == 0
    assert made() == ["red.json", "red_classes.png", "red_probabilities.npy"]
    shares = np.load("results/red_probabilities.npy")
    assert shares.shape == (3, 12, 16) and (shares.argmax(0) == 2).all()


def test_batches_change_nothing(model, photos, capsys):
    said = []
    for batch in ((), ("--batch", 1), ("--batch", 3)):
        assert run("--model", model, "photos", *batch, "--out", f"out{batch}") == 0
        said.append(capsys.readouterr().out)
    assert len(set(said)) == 1


# ---- any net


def test_a_prototxt(model, photos, capsys):
    (model / "names.txt").write_text("sea\nwood\nfire\n")
    (model / "classes.txt").unlink()
    arguments = ["--model", model / "val.prototxt", "--weights", model / "voc-tiny.caffemodel"]
    assert run(*arguments, "photos") == 2
    assert "classes.txt is not there, so nobody knows" in capsys.readouterr().err
    assert run(*arguments, "--names", model / "names.txt", "--mean", "90,95,100", "photos") == 0
    assert "red.bmp (16x12): fire 100.0%" in capsys.readouterr().out


def test_a_folder_of_one_s_own(model, photos, capsys):
    (model / "voc-tiny.caffemodel").rename(model / "leaves.caffemodel")
    (model / "classes.txt").write_text("soil\nleaf\nstalk\n")
    model.rename("leaves")
    assert run("--model", "leaves", "photos") == 0
    assert "green.PNG (16x12): leaf 100.0%" in capsys.readouterr().out


# ---- what goes wrong


@pytest.mark.parametrize("pixels", ["-5", "0", "many"])
def test_no_pixels(pixels, capsys):
    with pytest.raises(SystemExit) as end:
        run("a.png", "--max-pixels", pixels)
    assert end.value.code == 2 and "argument --max-pixels: " in capsys.readouterr().err


def test_results_that_cannot_be_written(model, photos, capsys):
    """A line each, and the others are done."""
    Path("results/blue_overlay.png").mkdir(parents=True)
    assert run("--model", model, "photos") == 1
    said = capsys.readouterr()
    assert (
        said.err == "photos/blue.png: results/blue_overlay.png cannot be written: Is a directory\n"
    )
    assert "photos/blue.png (16x12): background" in said.out
    assert {"green_overlay.png", "red_overlay.png"} <= set(made())


def test_ctrl_c(model, photos, monkeypatch, capsys):
    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(segmenter, "forward", interrupted)
    assert run("--model", model, "photos") == 130
    assert capsys.readouterr().err == "fcn infer: interrupted\n"


def test_one_of_a_batch_that_does_not_do(model, photos, monkeypatch, capsys):
    """Too little memory for all of them is enough for one; a broken answer is one picture's."""
    forward = segmenter.forward

    def failing(net, scenes, *args):
        if len(scenes) > 1:
            raise MemoryError("no room")
        forward(net, scenes, *args)
        if (scenes[0]["data"] == GREEN).all():
            net.blobs["score"].data[...] = np.nan

    monkeypatch.setattr(segmenter, "forward", failing)
    assert run("--model", model, "photos", "--batch", 3) == 1
    said = capsys.readouterr()
    assert (
        said.err.startswith("photos/in/green.PNG: score is not finite")
        and said.err.count("\n") == 1
    )
    assert [name for name in made() if "overlay" in name] == ["blue_overlay.png", "red_overlay.png"]


def test_a_bar_on_a_terminal_only(model, photos, monkeypatch, capsys):
    assert run("--model", model, "photos") == 0
    assert "picture/s" not in capsys.readouterr().err
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert run("--model", model, "photos") == 0
    said = capsys.readouterr()
    assert "2/3" in said.err and "picture/s" in said.err and "red.bmp (16x12)" in said.out


def test_equal_scores_are_told_and_not_written(model, photos, capsys):
    tiny_model.write_weights(model, model / "voc-tiny.caffemodel", score=np.ones((3, 3)))
    assert run("--model", model, "photos") == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3 and not made()
    assert all("score gives all 3 classes the same score at every pixel" in line for line in lines)
