"""`fcn figure --features` and `--filters`: what is inside of a net."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tiny_model
from PIL import Image

import caffe
from caffe import layers as L
from fcn import prototxts
from fcn.cli import main
from fcn.figure.maps import balanced, feature_rows, filter_rows, stretched
from fcn.segmenter import Segmenter


def run(*arguments):
    return main(["figure", "--cpu", *map(str, arguments)])


@pytest.fixture
def tiny(model):
    """The tiny model with a body that passes blue on twice as strong, and red half."""
    body = np.diag([2, 1, 0.5]) / 100
    tiny_model.write_weights(model, model / "voc-tiny.caffemodel", body=body, score=np.eye(3))
    return Segmenter(model)


def test_the_strongest_channels_come_first(tiny):
    """White, of which the mean is taken: 2, 1 and a half of about 160."""
    rows, heading = feature_rows(tiny, np.full((40, 60, 3), 255, np.uint8), "body", 64)
    cells = [cell for row in rows for cell in row]
    assert [cell.title for cell in cells] == ["input", "0", "1", "2"]
    assert heading.startswith(f"body of {tiny.about.model}: 3 channels, ")
    # body pads by 20, and the picture is 40 x 60: the padding is left out
    assert all(cell.picture.shape == (40, 60) for cell in cells[1:])


def test_as_many_channels_as_are_asked_for(tiny, scene):
    rows, heading = feature_rows(tiny, scene, "body", 2)
    assert sum(map(len, rows)) == 3 and "2 of 3 channels" in heading


def test_each_channel_is_scaled_for_itself(tiny, scene):
    rows, _ = feature_rows(tiny, scene, "score_fr", 3)
    for cell in [cell for row in rows for cell in row][1:]:
        assert (cell.picture.min(), cell.picture.max()) == (0, 1)
    assert (stretched(np.full((2, 3), 7.0)) == 0.5).all()
    assert (stretched(np.array([[-1.0, 3.0]])) == [0, 1]).all()


def test_a_map_lies_over_the_picture(tiny, scene):
    """Red is on the right, above: channel 2 of BGR."""
    rows, _ = feature_rows(tiny, scene, "body", 3)
    red = next(cell.picture for row in rows for cell in row if cell.title == "2")
    assert (red[:30, 20:] == 1).all() and (red[:30, :20] < 0.5).all() and (red[30:] < 0.5).all()


def test_filters_of_colours_are_shown_in_rgb(tiny):
    rows, heading = filter_rows(tiny, "body", 64)
    cells = [cell for row in rows for cell in row]
    assert [cell.title for cell in cells] == ["0", "1", "2"]
    assert [tuple(cell.picture[0, 0]) for cell in cells] == [
        *((0.5, 0.5, 1), (0.5, 1, 0.5), (1, 0.5, 0.5))  # blue, green, red
    ]
    assert "3 filters, the strongest first; grey is 0" in heading


def test_filters_of_other_layers_are_rows_over_their_inputs(tiny):
    rows, heading = filter_rows(tiny, "score_fr", 2)
    assert [[cell.title for cell in row][0] for row in rows] == ["2: 2", "1: 1"]
    assert rows[0][0].picture.shape == (1, 1) and rows[0][0].picture[0, 0] == 1
    assert rows[0][1].picture[0, 0] == 0.5 and "2 of 3 filters" in heading


def test_a_deconvolution_s_filters_are_its_outputs(tmp_path):
    """Its weights are stored as inputs x outputs."""
    n = caffe.NetSpec()
    n.data = L.Input(shape=dict(dim=[1, 3, 8, 8]))
    n.up = L.Deconvolution(
        n.data, convolution_param=dict(num_output=2, kernel_size=2, bias_term=False)
    )
    path = tmp_path / "val.prototxt"
    path.write_text(prototxts.text_of(n.to_proto()))
    net = caffe.Net(str(path), caffe.TEST)
    net.params["up"][0].data[...] = np.arange(24).reshape(3, 2, 2, 2)
    model = ready_of(path, net)
    rows, _ = filter_rows(model, "up", 64)
    assert [row[0].title for row in rows] == ["1: 2", "0: 2"] and len(rows[0]) == 3
    assert np.array_equal(rows[0][0].picture, 0.5 + np.array([[20, 21], [22, 23]]) / 46)


def ready_of(path, net):
    """A model that is no folder."""
    kinds = dict.fromkeys(net.inputs, "color")
    about = SimpleNamespace(model="up", prototxt=path, kinds=kinds, mean=(0, 0, 0))
    return SimpleNamespace(about=about, net=net, kind="color", scaled=lambda size: size)


def test_balanced_keeps_zero_grey():
    assert np.array_equal(balanced(np.array([-2.0, 0.0, 1.0])), [0, 0.5, 0.75])
    assert np.array_equal(balanced(np.zeros(2)), [0.5, 0.5])


def test_commands(tiny, scene, model, capsys):
    Image.fromarray(scene).save("s.png")
    assert run("s.png", "--models", model, "--features", "drop7", "--out", "maps.svg") == 0
    assert "drop7 of" in Path("maps.svg").read_text()
    assert run("--models", model, "--filters", "body", "--out", "filters.png") == 0
    with Image.open("filters.png") as image:
        assert min(image.size) > 50
    assert "wrote filters.png" in capsys.readouterr().out


WRONG = {
    "no such layer": (["s.png", "--features", "boby"], "no layer 'boby'; did you mean body?"),
    "no such filters": (["--filters", "skore_fr"], "no layer 'skore_fr'; did you mean score_fr?"),
    "no filters": (
        ["--filters", "drop7"],
        "drop7 has no filters; these have: body, score_fr, upscore",
    ),
    "no picture": (["--features", "body"], "no picture is given"),
    "two pictures": (["s.png", "s.png", "--features", "body"], "the maps of one picture, got 2"),
    "a picture": (["s.png", "--filters", "body"], "so it takes no picture"),
    "two weights": (["--filters", "body", "--weights", "a", "b"], "--filters looks into one model"),
}


@pytest.mark.parametrize("which", WRONG)
def test_mistakes_are_sentences(which, model, scene, capsys):
    Image.fromarray(scene).save("s.png")
    arguments, sentence = WRONG[which]
    assert run(*arguments, "--models", model) == 2
    err = capsys.readouterr().err
    assert sentence in err and err.count("\n") == 1


def test_blobs_without_height_and_width(tmp_path, scene):
    n = caffe.NetSpec()
    n.data = L.Input(shape=dict(dim=[1, 3, 8, 8]))
    n.pooled = L.Pooling(n.data, global_pooling=True)
    n.score = L.InnerProduct(n.pooled, num_output=2)
    path = tmp_path / "val.prototxt"
    path.write_text(prototxts.text_of(n.to_proto()))
    model = ready_of(path, caffe.Net(str(path), caffe.TEST))
    with pytest.raises(ValueError, match="score: its values are 1x2, no maps with a height"):
        feature_rows(model, scene, "score", 4)
