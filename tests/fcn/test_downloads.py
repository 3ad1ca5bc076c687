"""Downloads against a local server that resumes, breaks off, lies and refuses."""

import errno
import io
import shutil

import pytest
from file_server import BODY, MD5

from fcn import downloads
from fcn.downloads import Checksum, DownloadError, download

CHECKSUM = Checksum("md5", MD5)


def test_download(server, tmp_path):
    download(server.url, tmp_path / "file.bin", CHECKSUM)
    assert (tmp_path / "file.bin").read_bytes() == BODY
    assert [p.name for p in tmp_path.iterdir()] == ["file.bin"]


def test_goes_on_after_a_broken_connection(server, tmp_path):
    server.breaks = 2
    download(server.url, tmp_path / "file.bin", CHECKSUM)
    assert (tmp_path / "file.bin").read_bytes() == BODY
    assert server.ranges == [None, "bytes=300000-", "bytes=600000-"]


def test_a_connection_that_keeps_breaking(server, tmp_path):
    server.breaks, server.after = 3, 1000
    with pytest.raises(
        DownloadError, match=r"connection broken .*3 kB are kept .*same command again"
    ):
        download(server.url, tmp_path / "file.bin", CHECKSUM)
    assert (tmp_path / "file.bin.part").read_bytes() == BODY[:3000]
    assert not (tmp_path / "file.bin").exists()
    download(server.url, tmp_path / "file.bin", CHECKSUM)  # the same again, another day
    assert server.ranges[-1] == "bytes=3000-"
    assert (tmp_path / "file.bin").read_bytes() == BODY


def test_a_server_that_cannot_resume(server, tmp_path):
    server.breaks, server.resumes = 1, False
    download(server.url, tmp_path / "file.bin", CHECKSUM)
    assert (tmp_path / "file.bin").read_bytes() == BODY


@pytest.mark.parametrize("there", [len(BODY), len(BODY) + 5])
def test_a_part_that_is_complete_or_too_long(server, tmp_path, there):
    (tmp_path / "file.bin.part").write_bytes((BODY + b"extra")[:there])
    download(server.url, tmp_path / "file.bin", CHECKSUM)
    assert (tmp_path / "file.bin").read_bytes() == BODY


def test_nobody_there(tmp_path):
    url = "http://127.0.0.1:9/file.bin"  # the discard port: refused
    with pytest.raises(DownloadError, match="127.0.0.1:9.*connection broken"):
        download(url, tmp_path / "file.bin", CHECKSUM)


def test_wrong_checksum(server, tmp_path):
    server.body = BODY[:-1] + b"?"
    with pytest.raises(DownloadError, match=f"wrong checksum .*published is {MD5}"):
        download(server.url, tmp_path / "file.bin", CHECKSUM)
    assert not list(tmp_path.iterdir())  # nothing wrong is gone on from


def test_disk_full_known_before(server, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=1_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(
        DownloadError, match="disk full: .* has 1 MB free, 1.049 MB more are needed"
    ):
        download(server.url, tmp_path / "file.bin", CHECKSUM)


def test_disk_full_while_writing(server, tmp_path, monkeypatch):
    class Full(io.BytesIO):
        def write(self, chunk):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(downloads, "open", lambda *args: Full(), raising=False)
    with pytest.raises(
        DownloadError, match="cannot write .*file.bin.part: No space left on device"
    ):
        download(server.url, tmp_path / "file.bin", CHECKSUM)


def test_what_anybody_on_the_way_could_change_is_not_fetched(tmp_path, monkeypatch):
    """By http and without a checksum: neither at once, nor where a redirection leads."""
    asked = []

    def transfer(url, part):
        asked.append(url)
        if url.startswith("https://moved"):
            part.write_bytes(BODY)
            return "http://plain.example/f"
        raise ConnectionError("no such place")

    monkeypatch.setattr(downloads, "transfer", transfer)
    path = tmp_path / "f"
    with pytest.raises(
        DownloadError, match="plain.example/f: not fetched, since it is not encrypted"
    ):
        downloads.obtain(["http://plain.example/f"], path, None)
    assert set(asked) == {"https://plain.example/f"}  # which was tried instead
    with pytest.raises(DownloadError, match="http://plain.example/f: not fetched"):
        downloads.obtain(["https://moved.example/f"], path, None)
    assert not list(tmp_path.iterdir())
    downloads.obtain(["https://moved.example/f"], path, CHECKSUM)  # the file itself is known
    path.unlink()
    downloads.obtain(["https://moved.example/f"], path, None, unchecked=True)
    assert path.read_bytes() == BODY
