"""Which file holds which weights."""

import pytest
import tiny_model

from fcn import models, weights


def test_own_snapshots_are_found_newest_first(project):
    model = project / "voc-tiny"
    tiny_model.write_model(model)
    (model / "snapshot").mkdir()
    for iteration in (4000, 100000, 96000):  # not in the order of their names' letters
        (model / "snapshot" / f"train_iter_{iteration}.caffemodel").write_bytes(b"")
    assert weights.find("voc-tiny").name == "train_iter_100000.caffemodel"
    assert models.prototxt_of("voc-tiny") == model / "val.prototxt"


def test_published_names_and_their_order(project):
    folder = project / "voc-fcn16s"
    (folder / "snapshot").mkdir(parents=True)
    expected = []
    for name in (
        "voc-fcn16s.caffemodel",
        "fcn16s-heavy-pascal.caffemodel",
        "snapshot/train_iter_8000.caffemodel",
        "snapshot/train_iter_12000.caffemodel",
    ):  # from the least to the most preferred
        (folder / name).write_bytes(b"")
        expected.append(folder / name)
        assert weights.find("voc-fcn16s") == expected[-1]
    found = [path for path in weights.candidates("voc-fcn16s") if path.exists()]
    assert found == expected[::-1]


@pytest.mark.parametrize(
    "net, path",
    [
        ("ilsvrc-nets/vgg16-fcn", "vgg16fc.caffemodel"),  # so nyud-fcn32s-color-d asks for it
        ("ilsvrc-nets/vgg16-fcn", "ilsvrc-nets/vgg16fc.caffemodel"),
        ("nyud-fcn32s-color", "nyud-rgb-32s/nyud-rgb-32s-28k.caffemodel"),  # -color-hha
        ("nyud-fcn32s-hha", "nyud-hha-32s/nyud-hha-32s-60k.caffemodel"),
        ("nyud-fcn32s-hha", "nyud-fcn32s-hha/nyud-fcn32s-hha-heavy.caffemodel"),
        ("siftflow-fcn16s", "siftflow-fcn16s/siftflow-fcn16s.caffemodel"),
        ("pascalcontext-fcn8s", "pascalcontext-fcn8s/fcn-8s-pascalcontext.caffemodel"),
        ("voc-fcn16s", "voc-fcn16s/fcn-16s-pascal.caffemodel"),
        ("ilsvrc-nets/alexnet-fcn", "ilsvrc-nets/alexnet-fcn.caffemodel"),
    ],
)
def test_the_names_of_older_editions_and_original_scripts(net, path, project, monkeypatch):
    monkeypatch.setattr(weights, "SHA1", {})
    place = project / path
    place.parent.mkdir(exist_ok=True)
    place.write_bytes(b"")
    assert weights.find(net).samefile(place)


def test_sha1_is_checked_and_said(tmp_path, monkeypatch, capsys):
    path = tmp_path / "fcn8s-heavy-pascal.caffemodel"
    path.write_bytes(b"abc")
    weights.check(path)
    sha1 = "a9993e364706816aba3e25717850c26c9cd0d89d"  # of "abc"
    assert "warning" in capsys.readouterr().out
    monkeypatch.setitem(weights.SHA1, path.name, sha1)
    weights.check(path)
    assert f"sha1 {sha1}, as published" in capsys.readouterr().out


def test_what_is_missing_tells_how_to_get_it():
    with pytest.raises(FileNotFoundError) as error:
        weights.find("voc-fcn8s-nothing")
    assert "train it: fcn train voc-fcn8s-nothing" in str(error.value)
    assert "fcn8s-heavy-pascal.caffemodel" in weights.how_to_get("voc-fcn8s")
    assert "python ilsvrc-nets/convert.py" in weights.how_to_get("ilsvrc-nets/vgg16-fcn")
