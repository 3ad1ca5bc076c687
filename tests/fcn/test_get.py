"""`fcn get`: published weights from an address, a mirror, another library's copy, or the disk."""

import numpy as np
import pytest
import torch

from fcn import downloads, prototxts, published, weights
from fcn.cli import main
from fcn.downloads import Checksum


@pytest.fixture
def tiny(model, monkeypatch, server):
    """The small model, as published at the server's address, with none of its files here yet."""
    file = model / "voc-tiny.caffemodel"
    server.body = file.read_bytes()
    sha1 = downloads.digest(file, "sha1")
    file.unlink()
    monkeypatch.setattr(published, "NAMES", {str(model): ["tiny-heavy.caffemodel"]})
    monkeypatch.setattr(weights, "NAMES", published.NAMES)
    monkeypatch.setitem(published.SHA1, "tiny-heavy.caffemodel", sha1)
    monkeypatch.setitem(published.MEGABYTES, str(model), 1)
    monkeypatch.setattr("fcn.stages.stage_of", lambda names: "tiny")
    (model / "caffemodel-url").write_text(f"{server.url}\n")
    return model


@pytest.fixture
def arrays(tiny, server, tmp_path):
    """Key -> array of the small model's weights, as Chainer keeps them: `body/W`."""
    (tmp_path / "published").write_bytes(server.body)
    net = prototxts.load(tiny / "val.prototxt", tmp_path / "published")
    return {
        f"{name}/{part}": blob.data.copy()
        for name, blobs in net.params.items()
        for blob, part in zip(blobs, "Wb")
    }


def get(model, *more):
    return main(["get", str(model), *map(str, more)])


def test_the_published_file(tiny, server, capsys):
    assert get(tiny) == 0
    said = capsys.readouterr().out
    assert "tiny-heavy.caffemodel (1 MB, sha1 " in said and "next: fcn infer" in said
    path = tiny / "tiny-heavy.caffemodel"
    assert path.read_bytes() == server.body and weights.find(str(tiny)) == path
    asked = len(server.ranges)
    assert get(tiny) == 0 and len(server.ranges) == asked  # it is there already
    assert "is there already" in capsys.readouterr().out


def test_a_mirror(tiny, server):
    none = server.url.replace("/file", "/none")
    (tiny / "caffemodel-url").write_text(f"{none}\n{server.url}\n")
    assert get(tiny) == 0 and (tiny / "tiny-heavy.caffemodel").exists()


def test_wrong_bytes_are_not_kept(tiny, server, capsys):
    server.body = server.body[:-1] + b"?"
    assert get(tiny) == 2
    assert "wrong checksum" in capsys.readouterr().err
    assert not list(tiny.glob("*heavy*"))


def copies(monkeypatch, model, server, path):
    """Let the server hold a copy, and nobody the published file."""
    server.body = path.read_bytes()
    (model / "caffemodel-url").write_text(server.url.replace("/file", "/none"))
    copy = published.ReExport(path.name, server.url, Checksum("md5", downloads.digest(path, "md5")))
    monkeypatch.setitem(published.RE_EXPORTS, str(model), (copy,))


def write_npz(path, arrays):
    np.savez(path, **arrays)
    return path


def write_pth(path, arrays):
    names = {key: key.replace("/W", ".weight").replace("/b", ".bias") for key in arrays}
    torch.save({names[key]: torch.from_numpy(array) for key, array in arrays.items()}, path)
    return path


WRITE = {"npz": write_npz, "pth": write_pth}


@pytest.mark.parametrize("kind", WRITE)
def test_another_librarys_copy(tiny, server, arrays, tmp_path, monkeypatch, kind, capsys):
    arrays.pop("upscore/W")  # one that is never learned; it is made bilinear
    copies(monkeypatch, tiny, server, WRITE[kind](tmp_path / f"copy.{kind}", arrays))
    assert get(tiny) == 0
    assert f"trying a copy of its numbers, copy.{kind}" in capsys.readouterr().out
    path = tiny / "voc-tiny.caffemodel"
    assert sorted(each.name for each in tiny.glob("*.caffemodel")) == [path.name]
    net = prototxts.load(tiny / "val.prototxt", path)
    for key, array in arrays.items():
        layer, part = key.split("/")
        assert np.array_equal(net.params[layer]["Wb".index(part)].data, array)
    assert net.params["upscore"][0].data.any()


def test_nobody_has_it(tiny, server, capsys):
    none = server.url.replace("/file", "/none")
    (tiny / "caffemodel-url").write_text(none)
    assert get(tiny) == 2
    err = capsys.readouterr().err
    assert f"{none}: the server answers 404" in err and f"fcn get {tiny} --from FILE" in err


def test_a_file_on_disk(tiny, server, tmp_path, capsys):
    (tmp_path / "mine.caffemodel").write_bytes(server.body)
    asked = len(server.ranges)
    assert get(tiny, "--from", tmp_path / "mine.caffemodel") == 0
    assert (tiny / "tiny-heavy.caffemodel").read_bytes() == server.body
    assert len(server.ranges) == asked
    assert get(tiny, "--from", tmp_path / "none.caffemodel") == 2
    assert "no file" in capsys.readouterr().err


@pytest.mark.parametrize(
    "change, said",
    [
        (dict(more=np.ones(3)), "no layers more: it is another net's"),
        ({"conv9/W": np.ones(3)}, "no layers conv9: it is another net's"),
        ({"body/W": np.ones((2, 3, 1, 1))}, "weight of body: the net has [3, 3, 1, 1], the file"),
        ({"body/b": None}, "bias of body: the net has [3], the file none"),
        ({"body/W": None, "body/b": None}, "it lacks layers body"),
        ({"upscore/b": np.ones(3)}, "upscore has a bias"),
    ],
)
def test_a_copy_that_does_not_fit(tiny, arrays, tmp_path, change, said, capsys):
    arrays = {key: array for key, array in (arrays | change).items() if array is not None}
    path = write_npz(tmp_path / "copy.npz", arrays)
    assert get(tiny, "--from", path) == 2
    err = capsys.readouterr().err
    assert said in err and str(path) in err and "Traceback" not in err


@pytest.mark.parametrize("name", ["copy.npz", "copy.pth"])
def test_a_copy_that_is_none(tiny, tmp_path, name, capsys):
    (tmp_path / name).write_bytes(b"no such file at all")
    assert get(tiny, "--from", tmp_path / name) == 2
    assert f"{name}: not a" in capsys.readouterr().err


def test_a_file_of_another_net(tiny, server, tmp_path, monkeypatch, capsys):
    (tmp_path / "mine.caffemodel").write_bytes(server.body)
    monkeypatch.setattr("fcn.stages.stage_of", lambda names: "fcn32s")
    assert get(tiny, "--from", tmp_path / "mine.caffemodel") == 2
    assert "is not voc-tiny: by its layers it is FCN-32s" in capsys.readouterr().err


def test_what_was_never_published(model, capsys):
    assert get(model) == 2
    assert "has no published weights: train it" in capsys.readouterr().err


def test_the_tables_agree():
    for net in (*published.NAMES, *published.RE_EXPORTS):
        assert published.MEGABYTES[net] > 80
    for net in published.RE_EXPORTS:
        assert published.addresses(net) and "sha1" in published.about("voc-fcn8s")
