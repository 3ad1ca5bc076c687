"""`fcn data fetch` against a local server that resumes, breaks off, lies and refuses."""

import hashlib
import io
import shutil
import tarfile
import zipfile

import pytest

from fcn.cli import main
from fcn.datasets.dataset import DataError, Source
from fcn.datasets.fetch import fetch, require_inside, unpack
from fcn.datasets.registry import PUBLISHED


def archive(path, files, prefix="some/where/"):
    """A tar.gz (or zip) of {name: content}."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as content:
            for name, text in files.items():
                content.writestr(prefix + name, text)
        return path
    with tarfile.open(path, "w:gz") as content:
        for name, text in files.items():
            member = tarfile.TarInfo(prefix + name)
            member.size = len(text)
            content.addfile(member, io.BytesIO(text.encode()))
    return path


TREE = {"img/a.jpg": "picture", "cls/a.mat": "label", "train.txt": "a\n"}


def sources(monkeypatch, *sources):
    monkeypatch.setitem(PUBLISHED, "voc", PUBLISHED["voc"]._replace(sources=sources))


def test_fetch_a_set(server, tmp_path, monkeypatch, capsys):
    """From the second address; unpacked where the layers look; once."""
    server.body = archive(tmp_path / "made.tgz", TREE).read_bytes()
    md5 = hashlib.md5(server.body).hexdigest()
    none = server.url.replace("/file", "/none")
    plain = Source("note.txt", (server.url,), md5, "", "sbdd")
    tree = Source("made.tgz", (none, server.url), md5, "cls", "sbdd/dataset")
    sources(monkeypatch, tree, plain)
    assert main(["data", "fetch", "voc", "--to", str(tmp_path / "to")]) == 0
    found = tmp_path / "to/sbdd/dataset"
    for name, text in TREE.items():
        assert (found / name).read_text() == text
    assert (tmp_path / "to/sbdd/note.txt").read_bytes() == server.body
    asked = len(server.ranges)
    fetch("voc", tmp_path / "to")
    assert len(server.ranges) == asked and "already in" in capsys.readouterr().out
    shutil.rmtree(found)
    fetch("voc", tmp_path / "to")  # unpacked anew from the file that is still there
    assert len(server.ranges) == asked and (found / "cls/a.mat").exists()


def test_every_address_fails(server, tmp_path, monkeypatch, capsys):
    none = server.url.replace("/file", "/none")
    sources(monkeypatch, Source("made.tgz", (none, none + "2"), None, "cls", "sbdd/dataset"))
    assert main(["data", "fetch", "voc", "--to", str(tmp_path)]) == 2
    text = capsys.readouterr().err
    assert "could not get made.tgz" in text and f"{none}2: the server answers 404" in text
    assert "Traceback" not in text


@pytest.mark.parametrize("name", ["made.tgz", "made.zip"])
def test_archive_on_disk(tmp_path, monkeypatch, name, capsys):
    path = archive(tmp_path / name, TREE)
    sources(monkeypatch, Source(name, (), None, "cls", "sbdd/dataset"))
    fetch("voc", tmp_path / "to", archives=[path])
    assert (tmp_path / "to/sbdd/dataset/cls/a.mat").read_text() == "label"
    assert hashlib.md5(path.read_bytes()).hexdigest() in capsys.readouterr().out  # none published


@pytest.mark.parametrize("name", ["made.tgz", "made.zip"])
def test_archive_cut_short(tmp_path, name):
    files = {f"cls/{i}.mat": hashlib.sha256(bytes([i])).hexdigest() * 50 for i in range(200)}
    path = archive(tmp_path / name, files)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DataError, match=f"{name} is cut short or damaged") as raised:
        unpack(path, "cls", tmp_path / "place")
    assert "\n" not in str(raised.value)
    assert [p.name for p in tmp_path.iterdir()] == [name]  # nothing half unpacked is left


def test_wrong_archives(tmp_path, monkeypatch, capsys):
    path = archive(tmp_path / "made.tgz", {"readme": "another data set"})
    with pytest.raises(DataError, match="has no folder cls"):
        unpack(path, "cls", tmp_path / "place")
    sources(monkeypatch, Source("made.tgz", (), "0" * 32, "cls", "sbdd/dataset"))
    to = ["--to", str(tmp_path / "to"), "--archive"]
    assert main(["data", "fetch", "voc", *to, str(path)]) == 2
    assert "wrong checksum" in capsys.readouterr().err
    assert main(["data", "fetch", "voc", *to, "other.tgz"]) == 2
    assert "the files of voc are called made.tgz" in capsys.readouterr().err
    assert main(["data", "fetch", "voc", *to, str(tmp_path / "gone/made.tgz")]) == 2
    assert "no archive" in capsys.readouterr().err


def test_paths_that_lead_out_are_refused(tmp_path):
    path = archive(tmp_path / "made.tgz", {"../../evil": "x", "cls/a.mat": "y"}, prefix="")
    with pytest.raises(DataError, match="cut short or damaged"):
        unpack(path, "cls", tmp_path / "deep/er/place")
    assert not (tmp_path / "evil").exists() and not (tmp_path / "deep/evil").exists()


def member(name, kind=tarfile.REGTYPE, link=""):
    found = tarfile.TarInfo(name)
    found.type, found.linkname = kind, link
    return found


@pytest.mark.parametrize(
    "bad, match",
    [
        (member("a/../../b"), "leads out"),
        (member("a/b", tarfile.SYMTYPE, "../../c"), "leads out"),
        (member("a/b", tarfile.SYMTYPE, "/etc/passwd"), "leads out"),
        (member("a/b", tarfile.LNKTYPE, "../c"), "leads out"),
        (member("out/b"), "leads out"),  # through a link that is there
        (member("a/b", tarfile.FIFOTYPE), "no file"),
        (member("a/b", tarfile.CHRTYPE), "no file"),
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_tar_members_that_are_refused(tmp_path, bad, match):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "out").symlink_to(tmp_path)
    with pytest.raises(tarfile.TarError, match=match):
        require_inside(bad, folder)


def test_tar_members_that_are_taken(tmp_path):
    for good in [
        member("a/b"),
        member("/a/b"),
        member("a", tarfile.DIRTYPE),
        member("a/b", tarfile.SYMTYPE, "../c"),
        member("a/b", tarfile.LNKTYPE, "a/c"),
    ]:
        require_inside(good, tmp_path)
        assert not good.name.startswith("/")


def test_sources_are_whole():
    """Every set's data layers find their folders in what its sources bring."""
    for dataset in PUBLISHED.values():
        found = dataset.sources
        brought = {source.to for source in found}
        for tree in dataset.trees:
            for place, inside in tree.folders.values():
                assert place in brought or f"{place}/{inside}" in brought
        assert all(url.endswith("/" + source.file) for source in found for url in source.urls)


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_an_archive_that_would_fill_the_disk(tmp_path, monkeypatch, kind):
    monkeypatch.setattr("fcn.datasets.fetch.LEAST", 1 << 20)
    archive, zeros = tmp_path / f"bomb.{kind}", bytes(4 << 20)
    if kind == "zip":
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as content:
            content.writestr("JPEGImages/a", zeros)
    else:
        with tarfile.open(archive, "w:gz") as content:
            entry = member("JPEGImages/a")
            entry.size = len(zeros)
            content.addfile(entry, io.BytesIO(zeros))
    with pytest.raises(DataError, match="bytes claim to hold 4,194,304"):
        unpack(archive, "JPEGImages", tmp_path / "place")
    assert not (tmp_path / "place").exists()
