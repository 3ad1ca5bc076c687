"""`fcn serve` as a command: a process that ends with 130, addresses that cannot be had, a real net."""

import base64
import contextlib
import http.client
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from places import ROOT

from fcn import serving
from fcn.cli import build_parser, main
from fcn.segmenter import Segmenter
from fcn.serving.answers import Limits, Service


def run(*arguments):
    return main(["serve", "--cpu", *map(str, arguments)])


@pytest.fixture
def service():
    one = Service(lambda image: [], Limits(10, 10, 1))
    yield one
    one.close()


def test_serves_until_ctrl_c_and_ends_with_130(model, scene):
    """A process of its own, with a net: the classes are those of a Segmenter."""
    command = [sys.executable, "-m", "fcn", "serve", "--model", str(model), "--port", "0", "--cpu"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    # a suite that runs in the background of a shell ignores Ctrl-C, and so would its children
    heeds = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)  # noqa: E731
    pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=heeds)
    with subprocess.Popen(command, env=environment, **pipes) as process:
        lines = []
        while not lines or "Ctrl-C" not in lines[-1]:
            lines.append(process.stdout.readline())
            assert lines[-1], process.stderr.read()
        port = int(re.search(r"http://127\.0\.0\.1:(\d+)/", "".join(lines))[1])
        assert "only this machine can reach it" in "".join(lines)
        buffer = io.BytesIO()
        Image.fromarray(scene).save(buffer, "PNG")
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        with contextlib.closing(connection):
            connection.request("POST", "/segment", buffer.getvalue())
            answer = json.loads(connection.getresponse().read())
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130 and errors == "fcn serve: interrupted\n"
    (found,) = answer["answers"]
    classes = np.asarray(Image.open(io.BytesIO(base64.b64decode(found["png"]))))
    assert np.array_equal(classes, Segmenter(model)(scene).classes)
    assert {"background", "aeroplane", "bicycle"} == {one["name"] for one in found["classes"]}


def test_a_port_that_is_taken(model, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert run("--model", model, "--port", port) == 2
    err = capsys.readouterr().err
    assert f"127.0.0.1, port {port}: Address already in use; --port takes another" in err


def test_a_host_that_is_none(model, capsys):
    assert run("--model", model, "--host", "no.such.host.invalid", "--port", 0) == 2
    assert "fcn serve: no.such.host.invalid, port 0: " in capsys.readouterr().err


@pytest.mark.parametrize(
    "host, address, name",
    [
        ("127.0.0.1", "127.0.0.1", "127.0.0.1"),
        ("localhost", None, None),
        ("0.0.0.0", None, "localhost"),
    ],
)
def test_who_can_reach_it_is_told(service, host, address, name):
    with serving.listening(host, 0, service, str) as server:
        told, url = serving.reach(server), serving.url(server)
        assert server.server_port > 0 and url.endswith(f":{server.server_port}/")
        if name:
            assert url.startswith(f"http://{name}:")
        if host == "0.0.0.0":
            assert told.startswith("warning: whoever can reach this machine over the network")
            assert server.is_mine(socket.gethostname())
        else:
            assert told == "only this machine can reach it"
            assert server.is_mine("localhost:1") and not server.is_mine("evil.example")


def test_ipv6(service):
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 on this machine")
    with serving.listening("::1", 0, service, str) as server:
        assert re.fullmatch(r"http://\[::1\]:\d+/", serving.url(server))


@pytest.mark.parametrize(
    "option, value",
    [
        ("--port", "65536"),
        ("--port", "-1"),
        ("--max-bytes", "0"),
        ("--queue", "-1"),
        ("--queue", "x"),
    ],
)
def test_numbers_that_are_none(option, value, capsys):
    with pytest.raises(SystemExit):
        run(option, value)
    assert f"argument {option}" in capsys.readouterr().err


def test_what_is_the_default():
    args: SimpleNamespace = build_parser("serve").parse_args(["serve"])
    assert (args.host, args.port, args.max_bytes) == ("127.0.0.1", 8000, 20_000_000)
