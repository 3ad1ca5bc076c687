"""The server: who may ask, what is answered, and what is refused, each with a sentence."""

import ipaddress
import json
import secrets
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from fcn.serving.answers import Service
from fcn.serving.uploads import PART, Refused, length_of, read_body

UPLOAD = "/segment"
PATHS = {"/": ("GET", "HEAD"), UPLOAD: ("POST",)}
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'nonce-{nonce}'",
        "style-src 'nonce-{nonce}'",
        "img-src data: blob:",
        "connect-src 'self'",
        *("base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"),
    )
)
MOST_OF_ONE, MOST_OF_ALL = 32, 256  # connections
LINGER = 3  # seconds in which the rest of a refused upload is thrown away


LAST_WORDS = 2.0  # seconds that answers have to end in


class Server(ThreadingHTTPServer):
    """Serves the page, and segments what it sends, by a Service.

    `render(nonce)` is the page's HTML; `names` are the host's, beside its addresses and localhost.
    """

    daemon_threads = True

    def __init__(
        self,
        address: tuple[str, int],
        service: Service,
        render: Callable[[str], str],
        names: tuple[str, ...] = (),
    ) -> None:
        """Listen at (host, port); port 0 is any that is free. OSError if that is not possible."""
        host, port = address
        self.address_family, self.service, self.render = family_of(host, port), service, render
        self.connections: Counter[str] = Counter()  # that are open, by address
        self.counting = threading.Lock()
        self.names = {"localhost", *(name.lower() for name in names)}
        super().__init__(address, Handler)

    def let_answers_end(self) -> None:
        """Wait a little for answers on their way: a thread that prints while Python ends aborts it."""
        end = time.monotonic() + LAST_WORDS
        while self.connections.total() and time.monotonic() < end:
            time.sleep(0.02)

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Whether a connection is taken: not while its client has many, or all have too many."""
        with self.counting:
            mine = self.connections[client_address[0]]
            fits = mine < MOST_OF_ONE and self.connections.total() < MOST_OF_ALL
            self.connections[client_address[0]] += fits
        return fits

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve a connection, and count it no longer."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self.counting:
                self.connections[client_address[0]] -= 1
                self.connections += Counter()  # forgets those that have none

    def server_bind(self) -> None:
        """Bind, without asking the network for a name of this machine as the base class does."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that broke is no error of ours; anything else is told in a line."""
        error = sys.exc_info()[1]
        if not isinstance(error, ConnectionError | TimeoutError):
            print(
                f"{client_address[0]}: {type(error).__name__}: {error}", file=sys.stderr, flush=True
            )

    def is_mine(self, host: str) -> bool:
        """Whether a Host header names this server, by an address or by a name that it goes by.

        Another name may have been made to lead here (DNS rebinding), so that the pages of a stranger
        could read the answers.
        """
        name = urlsplit(f"//{host}").hostname or ""
        try:
            ipaddress.ip_address(name)
            return True
        except ValueError:
            return name in self.names


def family_of(host: str, port: int) -> int:
    """The kind of address that a host has."""
    return socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM)[0][0]


class Handler(BaseHTTPRequestHandler):
    """Answers a request."""

    server: Server
    timeout = 20  # seconds without a byte
    error_content_type = "application/json"

    def handle_request(self) -> None:
        """Answer, or say why not."""
        self.began, self.unread = time.monotonic(), self.command not in ("GET", "HEAD")
        try:
            self.check()
            if self.command == "POST":
                self.segment()
            else:
                self.show()
        except Refused as refusal:
            self.refuse(refusal.status, refusal.sentence)
        except (ConnectionError, TimeoutError):
            raise
        except Exception as error:
            about = (
                f"{self.client_address[0]}: this should not happen: {type(error).__name__}: {error}"
            )
            print(about, file=sys.stderr, flush=True)
            self.refuse(500, "This should not happen; where fcn serve was started it says more.")

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = handle_request

    def check(self) -> None:
        """Refused for other paths and methods, and for requests that another page has made."""
        host, origin = self.headers.get("Host", ""), self.headers.get("Origin")
        try:
            mine = self.server.is_mine(host)
        except ValueError:
            mine = False
        if not mine:
            raise Refused(403, f"This server is not called {host[:100]!r}; --host gives it a name.")
        if origin is not None and origin.partition("://")[2] != host:
            raise Refused(403, "Another page has asked; only this server's own may.")
        path = self.path.partition("?")[0]
        if path not in PATHS:
            raise Refused(404, "There is nothing here; the page is at /.")
        if self.command not in PATHS[path]:
            raise Refused(405, f"{path} takes {' or '.join(PATHS[path])}.")

    def show(self) -> None:
        """Send the page."""
        nonce = secrets.token_urlsafe(16)
        page = self.server.render(nonce).encode()
        self.send(HTTPStatus.OK, "text/html; charset=utf-8", page, POLICY.format(nonce=nonce))

    def segment(self) -> None:
        """Send the answer to the picture that is the request's body."""
        service = self.server.service
        length = length_of(self.headers, service.limits.bytes)
        with service.turn(self.client_address[0]):
            data = read_body(self.rfile.read1, length)
            self.unread = False
            answer = service.answer(data)
        self.send_json(HTTPStatus.OK, answer)
        took = f"{answer['width']}x{answer['height']} in {time.monotonic() - self.began:.1f} s"
        print(f"{self.client_address[0]}: {took}", flush=True)

    def refuse(self, status: int, sentence: str) -> None:
        """Send why a request is not served."""
        print(f"{self.client_address[0]}: {status}: {sentence}", flush=True)
        self.send_json(HTTPStatus(status), {"error": sentence})
        if self.unread:
            self.discard()

    def discard(self) -> None:
        """Read the rest of a refused upload: a client that is still sending would lose the answer."""
        end = time.monotonic() + LINGER
        try:
            self.connection.shutdown(socket.SHUT_WR)
            self.connection.settimeout(LINGER)
            while time.monotonic() < end and self.rfile.read1(PART):
                pass
        except OSError:
            pass  # it is gone

    def send_json(self, status: HTTPStatus, value: Any) -> None:
        """Send a value as JSON."""
        body = json.dumps(value, ensure_ascii=False).encode()
        self.send(status, "application/json; charset=utf-8", body, "default-src 'none'")

    def send(self, status: HTTPStatus, kind: str, body: bytes, policy: str) -> None:
        """Send an answer with the headers that every one has."""
        self.send_response(status)
        named = {"Content-Type": kind, "Content-Length": str(len(body))}
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            named["Retry-After"] = "5"
        for name, value in {**named, "Content-Security-Policy": policy, **HEADERS}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    # ---- what the base class calls

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Send an error that the base class has found in a request, as JSON."""
        self.unread, self.close_connection = False, True
        self.refuse(code, f"{message or HTTPStatus(code).phrase}.")

    def version_string(self) -> str:
        """What the server calls itself."""
        return "fcn"

    def log_message(self, format: str, *args: Any) -> None:
        """Pictures and refusals are told where they are answered; other requests are not."""
