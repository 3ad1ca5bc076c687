"""What a server does not serve: strangers' pages, and uploads that are no picture, huge, bombs or cut off."""

import contextlib
import http.client
import io
import json
import re
import socket
import struct
import sys
import time
import zlib

import numpy as np
import pytest
from PIL import Image

from fcn.serving import uploads
from fcn.serving.server import Handler


def png(width, height, content=b""):
    """A PNG that claims a size, with whatever content."""

    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(content))
    return b"\x89PNG\r\n\x1a\n" + head + body + chunk(b"IEND", b"")


def whole(kind="PNG", size=(64, 48)):
    """A picture's file."""
    buffer = io.BytesIO()
    noise = np.random.RandomState(0).randint(0, 255, (*size[::-1], 3)).astype(np.uint8)
    Image.fromarray(noise).save(buffer, kind)
    return buffer.getvalue()


def text_bomb():
    """A PNG whose text unpacks to 64 MB."""
    packed = zlib.compress(b"Comment" * (64 << 17))
    data = b"Comment\0\0" + packed
    chunk = (
        struct.pack(">I", len(data))
        + b"zTXt"
        + data
        + struct.pack(">I", zlib.crc32(b"zTXt" + data))
    )
    start = png(8, 8)
    return start[:33] + chunk + start[33:]


SIDES = struct.pack("<HH", 65535, 65535)
GIF = b"GIF89a" + SIDES + b"\0\0\0,\0\0\0\0" + SIDES + b"\0\2\2L\1\0;"
UPLOADS = {
    "text": (b"not a picture", 415, "The file is no picture of a kind that is read here: JPEG, PNG"),
    "script": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", 415, "no picture"),
    "cut png": (whole()[:3000], 422, "The picture is damaged: "),
    "cut jpeg": (whole("JPEG")[:900], 422, "The picture is damaged: "),
    "no content": (png(8, 8), 422, "The picture is damaged: "),
    "header alone": (whole()[:20], 422, "The picture is damaged: "),
    "bomb": (png(60_000, 60_000, b"\0" * 9999), 413, "too many pixels; up to 1,000,000 are taken"),
    "smaller bomb": (png(20_000, 9_000), 413, "too many pixels; up to 1,000,000 are taken"),
    "text bomb": (text_bomb(), 413, "The picture's text or colour profile unpacks to more than is"),
    "above the limit": (png(1000, 1001), 413, "1000x1001 = 1,001,000 pixels; up to 1,000,000 are"),
    "gif bomb": (GIF, 413, "too many pixels"),
    "too long": (b"\0" * 1_000_001, 413, "The file has 1 MB; up to 1 MB are taken."),
    "empty": (b"", 400, "The file is empty."),
}  # fmt: skip


@pytest.mark.parametrize("which", UPLOADS)
def test_uploads_that_are_no_picture(which, client, capsys):
    data, wanted, sentence = UPLOADS[which]
    began = time.monotonic()
    status, answer = client.upload(data)
    assert status == wanted and sentence in answer["error"]
    assert time.monotonic() - began < 10  # nothing large was decoded
    assert client.upload(whole())[0] == 200  # it goes on
    assert f"127.0.0.1: {wanted}: " in capsys.readouterr().out


def test_a_bomb_is_refused_before_it_is_decoded(client, monkeypatch):
    def loads(*arguments):
        raise AssertionError("decoded")

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", loads)
    assert client.upload(png(1200, 1000))[0] == 413
    assert client.upload(png(30, 30))[0] == 422  # this one would have been


def raw(client, request, then=b"", half_close=True):
    """The answer to bytes as they are."""
    with socket.create_connection(("127.0.0.1", client.port), timeout=10) as connection:
        connection.sendall(request)
        if then is None:
            time.sleep(0.5)
        if half_close:
            connection.shutdown(socket.SHUT_WR)
        found = b""
        with contextlib.suppress(ConnectionError):
            while part := connection.recv(65536):
                found += part
    return found


def posted(client, *headers, body=b"", **options):
    """(status, error) of a POST with headers as they are."""
    lines = ["POST /segment HTTP/1.1", f"Host: 127.0.0.1:{client.port}", *headers, "", ""]
    answer = raw(client, "\r\n".join(lines).encode() + body, **options)
    head, _, text = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(text)["error"]


LENGTHS = {
    "none": ((), b"", 411, "does not say how long it is"),
    "chunked": (("Transfer-Encoding: chunked",), b"3\r\nabc\r\n0\r\n\r\n", 411, "how long it is"),
    "negative": (("Content-Length: -5",), b"", 400, "Content-Length is no number"),
    "words": (("Content-Length: many",), b"", 400, "no number"),
    "two": (("Content-Length: 5", "Content-Length: 6"), b"abcde", 400, "no number"),
    "other digits": (("Content-Length: \u0663",), b"", 400, "no number"),
    "huge": (("Content-Length: 99999999999999999999999",), b"abc", 413, "up to 1 MB are taken"),
    "cut off": (("Content-Length: 5000",), b"abc", 400, "cut off: 3 of 5,000 bytes came"),
}


@pytest.mark.parametrize("which", LENGTHS)
def test_lengths_that_are_none(which, client):
    headers, body, wanted, sentence = LENGTHS[which]
    status, error = posted(client, *headers, body=body)
    assert status == wanted and sentence in error
    assert client.upload(whole())[0] == 200


def test_an_upload_that_stalls(serve, monkeypatch):
    monkeypatch.setattr(Handler, "timeout", 0.2)
    with serve.serving(waiting=0) as client:
        status, error = posted(client, "Content-Length: 500", body=b"abc", half_close=False)
        assert status == 408 and "took too long: 3 of 500 bytes came" in error
        assert client.upload(whole())[0] == 200  # its place is free


def test_an_upload_that_trickles(monkeypatch):
    monkeypatch.setattr(uploads, "SECONDS", 0.05)

    def read(count):
        time.sleep(0.02)
        return b"a"

    with pytest.raises(uploads.Refused, match="took too long") as refusal:
        uploads.read_body(read, 1000)
    assert refusal.value.status == 408


def test_a_client_that_is_still_sending_gets_the_answer(client):
    status, answer = client.upload(b"\0" * 8_000_000)
    assert status == 413 and "8 MB" in answer["error"]


def test_heic_is_named_where_it_is_not_read(client, monkeypatch):
    monkeypatch.setattr("fcn.pictures.HEIC_READERS", ("no_such_reader",))
    for brand in (b"heic", b"mif1"):
        status, answer = client.upload(b"\0\0\0\x18ftyp" + brand + b"\0" * 90)
        assert (
            status == 415 and "The file is HEIC, which is not read here (pi-heif" in answer["error"]
        )


def test_connections_of_one_client_are_few(client, monkeypatch):
    monkeypatch.setattr("fcn.serving.server.MOST_OF_ONE", 3)
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(socket.create_connection(("127.0.0.1", client.port)))
        time.sleep(0.2)
        with pytest.raises(OSError):
            client.ask("GET")
        other = http.client.HTTPConnection(
            "127.0.0.1", client.port, source_address=("127.0.0.2", 0)
        )
        with contextlib.closing(other):
            other.request("GET", "/")
            assert other.getresponse().status == 200
    end = time.monotonic() + 10
    while True:
        with contextlib.suppress(OSError):
            assert client.ask("GET")[0] == 200
            break
        assert time.monotonic() < end


def test_an_error_that_nobody_expected_shows_nothing_of_the_machine(serve, capsys):
    def fails(image):
        raise KeyError("/home/me/secret.prototxt")

    with serve.serving(fails) as client:
        status, answer = client.upload(whole())
    assert status == 500 and "secret" not in answer["error"]
    assert "KeyError: '/home/me/secret.prototxt'" in capsys.readouterr().err


def test_a_client_that_has_gone_is_no_error(client, capsys):
    with socket.create_connection(("127.0.0.1", client.port)) as connection:
        reset = struct.pack("ii", 1, 0)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
        connection.sendall(
            b"POST /segment HTTP/1.1\r\nHost: localhost\r\nContent-Length: 90\r\n\r\nabc"
        )
    assert client.upload(whole())[0] == 200
    assert "Traceback" not in capsys.readouterr().err


# ---- who asks, and for what


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:9", "127.0.0.1", "[::1]:8000", "10.1.2.3:80"]
)
def test_hosts_that_are_served(client, host):
    assert client.ask("GET", Host=host)[0] == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example:8000", "", "[", "localhost.x"]
)
def test_names_that_a_stranger_made_lead_here(client, host):
    for method, path in (("GET", "/"), ("POST", "/segment")):
        status, _, body = client.ask(method, path, whole() if method == "POST" else None, Host=host)
        assert status == 403 and b"This server is not called" in body
    status = raw(client, b"GET / HTTP/1.0\r\n\r\n").split()[1]
    assert status == b"403"


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1", "x"])
def test_pages_of_strangers_may_not_ask(client, origin):
    status, answer = client.upload(whole(), Origin=origin)
    assert status == 403 and "Another page has asked" in answer["error"]
    assert client.upload(whole(), Origin=client.url.rstrip("/"))[0] == 200


@pytest.mark.parametrize(
    "method, path, status",
    [
        *(("GET", "/etc/passwd", 404), ("GET", "/../page.html", 404), ("GET", "/segment", 405)),
        *(("POST", "/", 405), ("PUT", "/segment", 405), ("DELETE", "/", 405), ("BREW", "/", 501)),
    ],
)
def test_other_paths_and_methods(client, method, path, status):
    found, headers, body = client.ask(method, path)
    assert found == status and json.loads(body)["error"].endswith(".")
    assert headers["Content-Type"] == "application/json; charset=utf-8"


def test_requests_that_are_none(client):
    assert b'{"error": "Bad request ' in raw(client, b"\x16\x03\x01\x02\x00\x01\r\n\r\n")
    answer = raw(client, b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 200 + b"\r\n")
    assert answer.split()[1] == b"431" and b'{"error": ' in answer


# ---- the page, and what every answer has


def test_the_page_is_whole_and_asks_nobody(client):
    status, headers, body = client.ask("GET")
    text = body.decode()
    policy = headers["Content-Security-Policy"]
    (nonce,) = set(re.findall(r"'nonce-([\w-]+)'", policy))
    assert status == 200 and headers["Content-Type"] == "text/html; charset=utf-8"
    assert text.count(f'nonce="{nonce}"') == 2 == len(re.findall("<(?:script|style)[ >]", text))
    assert "default-src 'none'" in policy and "connect-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy and "unsafe" not in policy
    assert not re.findall(r"https?://|@import|src=\"(?!data:)|onclick|style=", text)
    assert "voc-tiny" in text and "up to 1 MB and 1 million pixels" in text
    assert nonce not in client.ask("GET")[2].decode()  # each page has its own


def test_headers_of_every_answer(client):
    asked = [("GET", "/", None), ("POST", "/segment", whole()), ("GET", "/x", None)]
    for method, path, data in asked:
        headers = client.ask(method, path, data)[1]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY" and headers["Cache-Control"] == "no-store"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert headers["Server"] == "fcn" and "Access-Control-Allow-Origin" not in headers


def test_head_has_no_body(client):
    status, headers, body = client.ask("HEAD")
    assert status == 200 and int(headers["Content-Length"]) > 5000 and body == b""


WRITTEN: list = []


def watch_files(event, arguments):
    """Notes files that are opened to be written, while somebody looks."""
    if (
        event == "open"
        and WRITTEN
        and isinstance(arguments[1], str)
        and set(arguments[1]) & set("wax+")
    ):
        WRITTEN.append(arguments[0])


def test_uploads_never_touch_the_disk(client):
    sys.addaudithook(watch_files)
    WRITTEN.append("looking")
    try:
        for kind in ("PNG", "JPEG", "TIFF", "WEBP"):
            assert client.upload(whole(kind))[0] == 200
        assert client.upload(whole()[:2000])[0] == 422
        assert WRITTEN == ["looking"]
    finally:
        WRITTEN.clear()
