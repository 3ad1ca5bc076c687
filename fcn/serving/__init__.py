"""`fcn serve`: a page in the browser that segments the pictures which are dropped on it.

It listens on this machine alone unless --host says otherwise. Pictures stay in memory.
"""

import argparse
import errno
import ipaddress
import socket
import warnings
import webbrowser
from collections.abc import Callable

import numpy as np
from PIL import Image

import caffe
from fcn import devices
from fcn.segmentation import Segmentation
from fcn.segmenter import Segmenter
from fcn.serving.answers import Limits, Service
from fcn.serving.page import renderer
from fcn.serving.server import Server


def run(args: argparse.Namespace) -> int:
    """Serve until Ctrl-C, whose exit code is 130."""
    caffe.init_log(1)  # warnings, not how the net is built
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    Image.MAX_IMAGE_PIXELS = args.refuse_pixels  # one limit, also for what a file has inside
    devices.use(args)
    model = Segmenter(
        args.model,
        weights=args.weights,
        sample=args.sample,
        max_pixels=args.max_pixels,
        any_weights=args.any_weights,
    )
    name = model.about.model

    def segment(image: np.ndarray) -> list[Segmentation]:
        first = model(image)
        return [first, *first.also.values()]

    limits = Limits(args.max_bytes, args.refuse_pixels, args.queue)
    service = Service(segment, limits)
    page = renderer(name, limits, model.kind)
    try:
        with listening(args.host, args.port, service, page) as server:
            address = url(server)
            print(f"{name} at {address}\n{reach(server)}\nCtrl-C ends it", flush=True)
            if args.open:
                webbrowser.open(address)
            try:
                server.serve_forever()
            finally:
                server.let_answers_end()
    finally:
        service.close()
    return 0


def listening(host: str, port: int, service: Service, render: Callable[[str], str]) -> Server:
    """The server; OSError that says what to do if the address cannot be had."""
    try:
        return Server((host, port), service, render, (host, socket.gethostname()))
    except OSError as error:
        why = f"{host}, port {port}: {error.strerror or error}"
        if error.errno == errno.EADDRINUSE:
            why += "; --port takes another, and 0 any that is free"
        raise OSError(why) from None


def url(server: Server) -> str:
    """Where the page is, for a browser on this machine."""
    address = ipaddress.ip_address(server.server_name)
    name = "localhost" if address.is_unspecified else server.server_name
    return f"http://{f'[{name}]' if ':' in name else name}:{server.server_port}/"


def reach(server: Server) -> str:
    """Who can reach the server."""
    if ipaddress.ip_address(server.server_name).is_loopback:
        return "only this machine can reach it"
    return (
        "warning: whoever can reach this machine over the network can use it, as "
        f"http://{socket.gethostname()}:{server.server_port}/, without a password and unencrypted"
    )
