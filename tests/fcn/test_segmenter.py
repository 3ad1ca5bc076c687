"""`Segmenter`: what it takes, and that it answers as the net does."""

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest
import tiny_model
from colours import BLUE, GREEN, RED
from PIL import Image
from places import ROOT

import caffe
import fcn
from fcn import Segmenter, prototxts, segmenter
from fcn.equal_scores import AllEqual
from fcn.finite_scores import NotFinite
from fcn.infer import segment
from fcn.pictures import Unreadable
from fcn.tasks import SAMPLE

NAMES = ("background", "aeroplane", "bicycle")


@pytest.fixture
def tiny(model):
    return Segmenter(model)


def test_the_package_names_it_without_the_engine():
    code = """if True:
        import sys, fcn
        sys.exit("torch" in sys.modules or "caffe" in sys.modules or "Segmenter" not in dir(fcn))"""
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
    assert Segmenter is segmenter.Segmenter
    with pytest.raises(AttributeError, match="module 'fcn' has no attribute 'Segmentor'"):
        _ = fcn.Segmentor


def test_numbers_in_lists_are_no_pictures(tiny, scene):
    with pytest.raises(Unreadable, match="give np.array of it"):
        tiny(scene.tolist())


def test_a_dataset_goes_to_other_processes():
    assert pickle.loads(pickle.dumps(SAMPLE)).classes == SAMPLE.classes


def test_every_kind_of_picture_is_answered_alike(tiny, scene, tmp_path):
    torch = pytest.importorskip("torch")
    Image.fromarray(scene).save(tmp_path / "s.png")
    wanted = segment(tiny.net, scene, tiny_model.MEAN)[""]
    assert (wanted[2:28, 2:18] == 1).all() and (wanted[2:28, 23:58] == 2).all()
    planes = torch.from_numpy(scene).permute(2, 0, 1) / 255
    alike = [
        *(str(tmp_path / "s.png"), tmp_path / "s.png", Image.fromarray(scene), scene, scene / 255),
        *(
            scene.astype(np.float32),
            scene.astype(np.int64),
            np.dstack([scene, scene[..., :1] * 0 + 255]),
        ),
        *(torch.from_numpy(scene), planes, Image.fromarray(scene).convert("RGBA")),
    ]
    for result in [*map(tiny, alike), *tiny(alike)]:
        assert np.array_equal(result.classes, wanted) and result.classes.dtype == np.uint8
        assert np.array_equal(result.image, scene) and result.names == NAMES


def test_a_net_that_one_has_takes_arrays_of_every_kind(tiny, scene):
    grey = scene[..., 0]
    wanted = segment(tiny.net, np.repeat(grey[..., None], 3, 2), tiny_model.MEAN)[""]
    for array in (grey, grey / 255, np.dstack([grey] * 3).astype(float)):
        assert np.array_equal(segment(tiny.net, array, tiny_model.MEAN)[""], wanted)


def test_a_result_keeps_its_picture(tiny, scene):
    pixels = scene.copy()
    result = tiny(pixels)
    pixels[:] = 0
    assert np.array_equal(result.image, scene)


def test_pillow_pictures_are_turned_upright(tiny, scene):
    image = Image.fromarray(np.ascontiguousarray(np.rot90(scene)))
    image.getexif()[0x0112] = 6
    result = tiny(image)
    assert np.array_equal(result.image, scene) and result.notes == (
        "turned upright, as its EXIF says",
    )


def test_paths_from_home(tiny, scene, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    Image.fromarray(scene).save(tmp_path / "s.png")
    assert tiny("~/s.png").label == "~/s.png"


@pytest.mark.parametrize(
    "image, said",
    [
        ("gone.jpg", "gone.jpg: cannot be read: No such file or directory"),
        (np.zeros((3, 40, 60)), r"the array: cannot be read: .*array.transpose\(1, 2, 0\)"),
        (np.zeros((4, 5), bool), "an array of bool is no picture"),
        ([np.zeros((4, 5)), np.zeros((4, 5), bool)], "picture 2: the array: .*bool"),
        ([Image.new("L", (4, 5)), "gone.jpg"], "^gone.jpg: cannot"),
        (None, "what was given: cannot be read: None is no picture; a path, a Pillow picture"),
        (b"abc", "an object of type bytes is no picture"),
        (3, "an object of type int is no picture"),
    ],
)
def test_what_is_no_picture(tiny, image, said):
    with pytest.raises(Unreadable, match=said):
        tiny(image)


def test_lists(tiny, scene):
    results = tiny([scene, scene[:20], scene[:20], Image.fromarray(scene)])
    assert [r.label for r in results] == [f"picture {k}" for k in (1, 2, 3, 4)]
    assert [r.classes.shape[0] for r in results] == [40, 20, 20, 40]
    assert tiny([]) == []


@pytest.fixture
def passes(tiny, monkeypatch):
    """The numbers of pictures in the passes of a net."""
    counts = []

    def counted(net, scenes, *args):
        counts.append(len(scenes))
        forward(net, scenes, *args)

    forward = segmenter.forward
    monkeypatch.setattr(segmenter, "forward", counted)
    return counts


@pytest.mark.parametrize(
    "batch, at_once, wanted",
    [
        (None, 5 * 2400, [5, 2, 1, 1]),
        (None, 100, [1] * 9),
        (None, 10**9, [7, 1, 1]),
        (3, 100, [3, 3, 1, 1, 1]),
        (1, 10**9, [1] * 9),
    ],
)
def test_batches_are_neighbours_of_one_size(
    tiny, scene, passes, monkeypatch, batch, at_once, wanted
):
    monkeypatch.setitem(segmenter.AT_ONCE, "cpu", at_once)
    rolled = [np.roll(scene, k, 1) for k in range(7)]
    pictures = [*rolled, scene[:, :30], scene]
    results = tiny(pictures, batch=batch)
    assert passes == wanted
    for picture, result in zip(pictures, results):
        assert np.array_equal(result.classes, tiny(picture).classes)


def test_batches_on_every_device(device, model, scene):
    net = Segmenter(model)
    pictures = [np.roll(scene, k, 1) for k in range(3)]
    for picture, result in zip(pictures, net(pictures, batch=3, scores=True)):
        alone = net(picture)
        assert np.array_equal(result.classes, alone.classes)
        np.testing.assert_allclose(result.scores, alone.scores, atol=1e-5)


def test_large_pictures_are_segmented_smaller(model, scene, passes):
    net = Segmenter(model, max_pixels=600)
    result = net(scene, scores=True)
    assert result.classes.shape == (40, 60) and result.scores.shape == (3, 20, 30)
    assert result.notes == ("over 600 pixels, so segmented at a smaller scale",)
    for count in (0, -5):
        with pytest.raises(ValueError, match=f"max_pixels is {count}"):
            Segmenter(model, max_pixels=count)


def test_scores_now_or_later(tiny, scene):
    kept, later = tiny(scene, scores=True), tiny(scene)
    tiny(scene[::-1])  # the net has other scores now
    assert np.array_equal(kept.scores, later.scores) and kept.scores.shape == (3, 40, 60)
    assert np.array_equal(kept.scores.argmax(0), kept.classes)
    shares = np.exp(kept.scores.astype(float))
    np.testing.assert_allclose(kept.probabilities, shares / shares.sum(0), rtol=1e-5)
    assert kept.probabilities.dtype == np.float32


def test_scores_that_are_probabilities(model, scene, tmp_path):
    net = prototxts.deploy(prototxts.read_net(model / "val.prototxt"))
    net.layer.add(name="prob", type="Softmax", bottom=["score"], top=["prob"])
    (tmp_path / "net.prototxt").write_text(prototxts.text_of(net))
    weights = model / "voc-tiny.caffemodel"
    result = Segmenter("net.prototxt", weights=weights, names=NAMES, mean=tiny_model.MEAN)(scene)
    assert np.array_equal(result.probabilities, result.scores) and result.blob == "prob"
    np.testing.assert_allclose(
        result.probabilities, Segmenter(model)(scene).probabilities, atol=1e-6
    )
    assert result.ending == ""


def test_nets_whose_outputs_are_no_maps_of_scores(model, scene, tmp_path):
    net = prototxts.deploy(prototxts.read_net(model / "val.prototxt"))
    del net.layer[-1]  # the crop
    given = dict(weights=model / "voc-tiny.caffemodel", names=NAMES, mean=0)
    (tmp_path / "net.prototxt").write_text(prototxts.text_of(net))
    with pytest.raises(
        ValueError, match="upscore is 82x102 for a picture of 40x60.*Way out: .*Crop"
    ):
        Segmenter("net.prototxt", **given)(scene)
    net.layer.add(name="one", type="Reduction", bottom=[net.layer[-1].top[0]], top=["one"])
    (tmp_path / "net.prototxt").write_text(prototxts.text_of(net))
    with pytest.raises(ValueError, match=r"one has shape \(\); scores are 1 x classes x H x W"):
        Segmenter("net.prototxt", **given)


def test_scores_that_say_nothing(model, scene):
    weights = model / "voc-tiny.caffemodel"
    net = prototxts.load(model / "val.prototxt", weights)
    net.params["upscore"][0].data[...] = 1  # every class gets the sum
    net.save("equal.caffemodel")
    with pytest.raises(AllEqual, match="all 3 classes the same score at every pixel") as error:
        Segmenter(model, weights="equal.caffemodel")(scene)
    assert error.value.weights and error.value.exit_code == 1
    net.params["body"][0].data[0] = np.nan
    net.save("nan.caffemodel")
    with pytest.raises(NotFinite, match="first in layer 'body'"):
        Segmenter(model, weights="nan.caffemodel")(scene)


def test_a_picture_of_the_first_class_alone_is_an_answer(tiny):
    assert tiny(np.full((30, 30, 3), BLUE, np.uint8)).shares == {"background": 1.0}


def test_the_log_is_quiet_while_a_net_is_built_and_only_then(model, capsys, monkeypatch):
    monkeypatch.setenv("GLOG_minloglevel", "0")
    caffe.init_log(0)
    try:
        Segmenter(model)
        assert "layer" not in capsys.readouterr().err
        prototxts.load(model / "val.prototxt", model / "voc-tiny.caffemodel")
        assert "Creating" in capsys.readouterr().err
    finally:
        monkeypatch.setenv("GLOG_minloglevel", "2")
        caffe.init_log(0)


def test_two_scores(model, scene, tmp_path):
    """The first that the net makes is the answer, and `also` has the others."""
    net = prototxts.deploy(prototxts.read_net(model / "val.prototxt"))
    net.layer[-1].name, net.layer[-1].top[0] = "score_sem", "score_sem"
    shares = net.layer.add(
        name="score_geo", type="Softmax", bottom=["score_sem"], top=["score_geo"]
    )
    shares.bottom[0] = net.layer[-2].bottom[1]  # the picture: three channels, too
    (model / "val.prototxt").write_text(prototxts.text_of(net))
    (model / "geo_classes.txt").write_text("low\nmiddle\nhigh\n")
    segmenter_ = Segmenter(model, mean=tiny_model.MEAN)
    result = segmenter_(scene)
    assert list(segmenter_.score_names) == ["score_sem", "score_geo"]
    assert result.names == NAMES and result.also["score_geo"].names == ("low", "middle", "high")
    assert set(result.also["score_geo"].shares) == {"low", "middle", "high"}  # blue, green, red
    result.save("results/s")
    assert {path.name for path in (tmp_path / "results").iterdir()} == {
        f"s_{which}_{what}.png" for which in ("sem", "geo") for what in ("classes", "overlay")
    }


def test_repr(tiny, model):
    assert repr(tiny) == f"<Segmenter {model}: 3 classes, {model / 'voc-tiny.caffemodel'}>"


@pytest.mark.parametrize("colour, name", [(GREEN, "aeroplane"), (RED, "bicycle")])
def test_the_embedded_form(model, colour, name, tmp_path):
    """`sample=True` names the net in the model's folder `sample`."""
    model.rename(tmp_path / "sample")
    (tmp_path / "voc-tiny").mkdir()
    (tmp_path / "sample").rename(tmp_path / "voc-tiny" / "sample")
    net = Segmenter("voc-tiny", sample=True)
    assert net(np.full((9, 9, 3), colour, np.uint8)).shares == {name: 1.0}


def test_a_copy_is_made_without_a_word(tiny, caplog, capfd):
    """Pickled or copied, it answers as the first one, and Caffe's log does not say how nets are built."""
    picture = np.random.RandomState(0).randint(0, 255, (30, 34, 3), np.uint8)
    capfd.readouterr()
    for other in (pickle.loads(pickle.dumps(tiny)), copy.deepcopy(tiny)):
        assert np.array_equal(other(picture).classes, tiny(picture).classes)
    assert capfd.readouterr().err == "" and not caplog.records
