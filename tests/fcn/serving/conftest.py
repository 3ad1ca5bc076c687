"""A server in the test's own process, with a net whose answer is known."""

import contextlib
import http.client
import json
import threading
from types import SimpleNamespace

import numpy as np
import pytest

from fcn.segmentation import Answer
from fcn.serving.answers import Limits, Service
from fcn.serving.page import renderer
from fcn.serving.server import Server

NAMES = ("background", "aeroplane", "bicycle")


def by_colour(image):
    """Class 1 where green is strongest, 2 where red is, else 0."""
    best = image.argmax(axis=2)
    return [Answer("score", "", np.select([best == 1, best == 0], [1, 2]).astype(np.uint8), NAMES)]


class Client:
    """What a test asks of a server."""

    def __init__(self, port):
        self.port = port
        self.url = f"http://127.0.0.1:{port}/"

    def ask(self, method, path="/", body=None, **headers):
        """(status, headers, bytes) of an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        with contextlib.closing(connection):
            named = {key.replace("_", "-"): value for key, value in headers.items()}
            connection.request(method, path, body, named)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()

    def upload(self, data, **headers):
        """(status, answer) for a picture."""
        status, _, body = self.ask("POST", "/segment", data, **headers)
        return status, json.loads(body)


@contextlib.contextmanager
def serving(segment=by_colour, **limits):
    """A client of a server."""
    limits = Limits(**{"bytes": 10**6, "pixels": 10**6, "waiting": 4} | limits)
    service = Service(segment, limits)
    server = Server(("127.0.0.1", 0), service, renderer("voc-tiny", limits))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield Client(server.server_port)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        service.close()


@pytest.fixture
def serve():
    """`serving`, and what else tests of a server need."""
    return SimpleNamespace(serving=serving, by_colour=by_colour, names=NAMES)


@pytest.fixture
def client():
    """A client of a server that tells colours apart."""
    with serving() as one:
        yield one
