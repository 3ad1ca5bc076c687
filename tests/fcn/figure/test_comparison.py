"""`fcn figure`: rows of pictures, a column a model, with models whose answer is known."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tiny_model
from PIL import Image

from fcn.cli import main
from fcn.figure import comparison, grid
from fcn.segmentation import Answer
from fcn.segmenter import Segmenter

AEROPLANE, BICYCLE, BLACK = (128, 0, 0), (0, 128, 0), (0, 0, 0)


def run(*arguments):
    return main(["figure", "--cpu", *map(str, arguments)])


def colour(path, column, share):
    """The colour of a figure's first row at a column, and shares of width and height in it."""
    pixels = np.asarray(Image.open(path).convert("RGB"))
    height = 40 / 60 * grid.COLUMN
    x = grid.GAP + column * (grid.COLUMN + grid.GAP) + share[0] * grid.COLUMN
    y = grid.GAP + grid.TITLE + share[1] * height
    return tuple(int(value) for value in pixels[round(y * grid.DPI), round(x * grid.DPI)])


GREEN_AT, RED_AT, BLUE_AT = (0.1, 0.3), (0.8, 0.3), (0.5, 0.9)


@pytest.fixture
def picture(model, scene):
    Image.fromarray(scene).save("s.png")
    return "s.png"


def test_columns_are_input_models_and_truth(model, scene, picture, capsys):
    """The second model's weights are another's: it takes red for class 0."""
    tiny_model.write_weights(model, "other.caffemodel", score=np.eye(3)[::-1])
    truth = np.full((40, 60), 255, np.uint8)
    truth[:20] = 2
    Image.fromarray(truth).save("t.png")
    weights = ["voc-tiny/voc-tiny.caffemodel", "other.caffemodel"]
    options = ["--models", model, model, "--weights", *weights, "--truth", "t.png"]
    assert run(picture, *options, "--show", "classes", "--out", "made/f.png") == 0
    assert "wrote made/f.png" in capsys.readouterr().out
    for share, colours in {
        GREEN_AT: (tuple(scene[0, 0]), AEROPLANE, AEROPLANE, BICYCLE),
        RED_AT: (tuple(scene[0, 59]), BICYCLE, BLACK, BICYCLE),
        BLUE_AT: (tuple(scene[39, 0]), BLACK, BICYCLE, (224, 224, 192)),
    }.items():
        assert tuple(colour("made/f.png", k, share) for k in range(4)) == colours, share


def test_overlay_leaves_background_and_void_as_they_are(model, scene, picture):
    Image.fromarray(np.full((40, 60), 255, np.uint8)).save("t.png")
    assert run(picture, "--models", model, "--truth", "t.png") == 0
    assert colour("figure.png", 1, BLUE_AT) == tuple(scene[39, 0])
    blended = tuple(int(value) for value in scene[0, 0] // 2 + np.array(AEROPLANE) // 2)
    assert np.abs(np.subtract(colour("figure.png", 1, GREEN_AT), blended)).max() <= 1
    assert colour("figure.png", 2, GREEN_AT) == tuple(scene[0, 0])


def test_pictures_of_every_shape_and_kind_of_file(model, scene, picture):
    Image.fromarray(scene[:, :9]).save("tall.png")
    for name in ("f.svg", "f.pdf", "f.jpg"):
        assert run(picture, "tall.png", "--models", model, "--out", name) == 0
    text = Path("f.svg").read_text()
    assert "<svg" in text and "voc-tiny" in text and "bicycle" in text  # a title, and the legend
    assert "background" not in text  # which an overlay does not colour
    assert Path("f.pdf").read_bytes().startswith(b"%PDF")


def test_legend_names_what_is_there():
    entries = grid.class_colors({0, 2, 4, 255}, ("background", "aeroplane", "bicycle"))
    assert [tuple(entry) for entry in entries] == [
        *(("background", "#000000"), ("bicycle", "#008000"), ("class 4", "#000080")),
        ("void", "#e0e0c0"),
    ]


WRONG = {
    "no picture": ([], "no picture is given"),
    "no such file": (["none.png"], "none.png: cannot be read: No such file or directory"),
    "no picture at all": (["voc-tiny/val.prototxt"], "val.prototxt: cannot be read: no picture"),
    "weights": (["s.png", "--weights", "a", "b"], "a file for each of the 1 model, got 2"),
    "truths": (["s.png", "--truth", "t.png", "t.png"], "a file for each of the 1 picture, got 2"),
    "colours": (["s.png", "--truth", "s.png"], "s.png: the truth is class indices"),
    "size": (["s.png", "--truth", "small.png"], "differ in size: 3x2 and 60x40"),
    "ending": (["s.png", "--out", "f.txt"], "f.txt: figures are written as"),
    "no ending": (["s.png", "--out", "figure"], "figures are written as"),
}


@pytest.mark.parametrize("which", WRONG)
def test_mistakes_are_sentences(which, model, picture, capsys):
    arguments, sentence = WRONG[which]
    Image.fromarray(np.zeros((2, 3), np.uint8)).save("small.png")
    assert run(*arguments, "--models", model) == 2
    err = capsys.readouterr().err
    assert sentence in err and err.count("\n") == 1


def test_a_picture_that_cannot_be_read_is_left_out(model, picture, capsys):
    Path("bad.png").write_text("no picture")
    assert run("bad.png", picture, "--models", model, "--out", "f.png") == 1
    said = capsys.readouterr()
    assert "bad.png: cannot be read" in said.err and "wrote f.png" in said.out
    assert run("bad.png", "bad.png", "--models", model, "--out", "g.png") == 2
    assert "none of the 2 pictures can be read" in capsys.readouterr().err
    assert not Path("g.png").exists()


def test_models_that_read_two_pictures_are_refused():
    two = SimpleNamespace(about=SimpleNamespace(model="m", kinds={"a": "color", "b": "hha"}))
    with pytest.raises(ValueError, match="m reads color and hha, and only models that read one"):
        Segmenter.kind.fget(two)


def test_models_of_different_classes_are_refused(monkeypatch, scene):
    answers = {"a": ("x", "y"), "b": ("x", "z")}
    monkeypatch.setattr(comparison, "Segmenter", lambda name, **more: name)
    monkeypatch.setattr(
        comparison,
        "answers",
        lambda name, *rest: [Answer("score", "", np.zeros((40, 60), np.uint8), answers[name])],
    )
    with pytest.raises(ValueError, match="a and b have different classes"):
        comparison.segmented(["a", "b"], [None, None], False, [scene])
