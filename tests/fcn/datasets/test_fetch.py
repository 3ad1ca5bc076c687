"""`fcn data fetch` against a local server that resumes, breaks off, lies and refuses."""

import errno
import hashlib
import http.server
import io
import shutil
import tarfile
import threading
import zipfile

import pytest

from fcn.cli import main
from fcn.datasets import fetch as fetch_module
from fcn.datasets.dataset import DataError, Source
from fcn.datasets.fetch import download, fetch, require_inside, unpack
from fcn.datasets.registry import PUBLISHED

BODY = bytes(range(256)) * 4096  # 1 MiB
MD5 = hashlib.md5(BODY).hexdigest()


class Server(http.server.ThreadingHTTPServer):
    """Serves BODY at every path but /none; `breaks` answers stop after `after` bytes."""

    breaks, after, resumes, body = 0, 300_000, True, BODY

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.ranges = []
        self.handle_error = lambda *args: None  # clients that go away are what is tested
        self.url = f"http://127.0.0.1:{self.server_address[1]}/file.bin"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        asked = self.headers.get("Range")
        server.ranges.append(asked)
        if self.path.startswith("/none"):
            return self.send_error(404)
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and server.resumes else 0
        if start >= len(server.body):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(server.body)}")
            self.send_header("Content-Length", "0")
            return self.end_headers()
        rest = server.body[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        if server.breaks:
            server.breaks -= 1
            rest = rest[: server.after]
        self.wfile.write(rest)

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_download(server, tmp_path):
    download(server.url, tmp_path / "file.bin", MD5)
    assert (tmp_path / "file.bin").read_bytes() == BODY
    assert [p.name for p in tmp_path.iterdir()] == ["file.bin"]


def test_goes_on_after_a_broken_connection(server, tmp_path):
    server.breaks = 2
    download(server.url, tmp_path / "file.bin", MD5)
    assert (tmp_path / "file.bin").read_bytes() == BODY
    assert server.ranges == [None, "bytes=300000-", "bytes=600000-"]


def test_a_connection_that_keeps_breaking(server, tmp_path):
    server.breaks, server.after = 3, 1000
    with pytest.raises(DataError, match=r"connection broken .*3 kB are kept .*same command again"):
        download(server.url, tmp_path / "file.bin", MD5)
    assert (tmp_path / "file.bin.part").read_bytes() == BODY[:3000]
    assert not (tmp_path / "file.bin").exists()
    download(server.url, tmp_path / "file.bin", MD5)  # the same again, another day
    assert server.ranges[-1] == "bytes=3000-"
    assert (tmp_path / "file.bin").read_bytes() == BODY


def test_a_server_that_cannot_resume(server, tmp_path):
    server.breaks, server.resumes = 1, False
    download(server.url, tmp_path / "file.bin", MD5)
    assert (tmp_path / "file.bin").read_bytes() == BODY


@pytest.mark.parametrize("there", [len(BODY), len(BODY) + 5])
def test_a_part_that_is_complete_or_too_long(server, tmp_path, there):
    (tmp_path / "file.bin.part").write_bytes((BODY + b"extra")[:there])
    download(server.url, tmp_path / "file.bin", MD5)
    assert (tmp_path / "file.bin").read_bytes() == BODY


def test_nobody_there(tmp_path):
    url = "http://127.0.0.1:9/file.bin"  # the discard port: refused
    with pytest.raises(DataError, match="127.0.0.1:9.*connection broken"):
        download(url, tmp_path / "file.bin", MD5)


def test_wrong_checksum(server, tmp_path):
    server.body = BODY[:-1] + b"?"
    with pytest.raises(DataError, match=f"wrong checksum .*published is {MD5}"):
        download(server.url, tmp_path / "file.bin", MD5)
    assert not list(tmp_path.iterdir())  # nothing wrong is gone on from


def test_disk_full_known_before(server, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=1_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(DataError, match="disk full: .* has 1 MB free, 1.049 MB more are needed"):
        download(server.url, tmp_path / "file.bin", MD5)


def test_disk_full_while_writing(server, tmp_path, monkeypatch):
    class Full(io.BytesIO):
        def write(self, chunk):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(fetch_module, "open", lambda *args: Full(), raising=False)
    with pytest.raises(DataError, match="cannot write .*file.bin.part: No space left on device"):
        download(server.url, tmp_path / "file.bin", MD5)


# A whole set


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
