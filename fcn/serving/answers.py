"""Pictures segmented one at a time, and the answers as the page takes them."""

import base64
import contextlib
import io
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from fcn.equal_scores import AllEqual
from fcn.finite_scores import NotFinite
from fcn.segmentation import Segmentation
from fcn.serving.uploads import Refused, read_picture
from fcn.vis import make_palette

SHOWN = 1400  # pixels of the longer side of what the page shows
QUALITY = 90  # of the JPEG that it shows

Segment = Callable[[np.ndarray], Sequence[Segmentation]]


class Limits(NamedTuple):
    """What a server takes."""

    bytes: int  # of an upload
    pixels: int  # of a picture
    waiting: int  # pictures that wait while one is segmented


class Service:
    """Segments pictures, one at a time; as many as the limits say wait.

    A client has one of these places at most, whatever it sends at once: its other pictures wait for
    its first, and nobody else does.
    """

    def __init__(self, segment: Segment, limits: Limits) -> None:
        """By a function from a picture, H x W x 3 uint8 RGB, to a net's answers."""
        self.segment, self.limits = segment, limits
        self.places = threading.BoundedSemaphore(1 + limits.waiting)
        self.asking: Counter[str] = Counter()  # requests of each client
        self.served: set[str] = set()  # clients whose turn it is
        self.changed = threading.Condition()
        # Always the same thread: OpenMP keeps its own threads for each one that has ever computed.
        self.thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="net")

    @contextlib.contextmanager
    def turn(self, client: str) -> Iterator[None]:
        """Wait for the client's earlier pictures, then take a place in the queue.

        Refused if there is none, or if as many of the client's own wait.
        """
        with self.changed:
            if self.asking[client] > self.limits.waiting:
                raise Refused(503, "Too many of your pictures wait already. Try again soon.")
            self.asking[client] += 1
            self.changed.wait_for(lambda: client not in self.served)
            self.served.add(client)
        try:
            if not self.places.acquire(blocking=False):
                raise Refused(503, "Too many pictures wait already. Try again soon.")
            try:
                yield
            finally:
                self.places.release()
        finally:
            with self.changed:
                self.served.discard(client)
                self.asking[client] -= 1
                self.asking += Counter()  # forgets those that ask nothing
                self.changed.notify_all()

    def answer(self, data: bytes) -> dict[str, Any]:
        """The answer to a file's bytes, for JSON; Refused for one that cannot be segmented."""
        try:
            asked = self.thread.submit(self._answer, data)
        except RuntimeError:  # the executor's, after `close`
            raise Refused(503, "The server is being ended.") from None
        try:
            return asked.result()
        except CancelledError:
            raise Refused(503, "The server is being ended.") from None

    def _answer(self, data: bytes) -> dict[str, Any]:
        image = read_picture(data, self.limits.pixels)
        start = time.perf_counter()
        try:
            answers = self.segment(image)
        except (NotFinite, AllEqual) as error:
            raise Refused(500, f"The net gives no answer: {error}.") from error
        except MemoryError as error:
            text = f"There is not enough memory for this picture: {error}".rstrip(": ")
            raise Refused(413, f"{text}. A smaller one may do.") from error
        return as_json(image, answers, time.perf_counter() - start)

    def close(self) -> None:
        """Segment no further picture."""
        self.thread.shutdown(wait=False, cancel_futures=True)


def as_json(image: np.ndarray, answers: Sequence[Segmentation], seconds: float) -> dict[str, Any]:
    """A picture and its answers: what the page shows, at most SHOWN a side, and PNGs of full size."""
    height, width = image.shape[:2]
    picture = Image.fromarray(image)
    scale = min(1, SHOWN / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    buffer = io.BytesIO()
    picture.resize(size, Image.Resampling.LANCZOS).save(buffer, "JPEG", quality=QUALITY)
    return {
        "width": width,
        "height": height,
        "shown": list(size),
        "picture": base64.b64encode(buffer.getvalue()).decode(),
        "seconds": round(seconds, 3),
        "answers": [one_answer(answer, size) for answer in answers],
    }


def one_answer(answer: Segmentation, size: tuple[int, int]) -> dict[str, Any]:
    """A score's classes: their shares, the runs of what is shown, row after row, and the PNG."""
    classes = Image.fromarray(answer.classes)
    small = np.asarray(classes.resize(size, Image.Resampling.NEAREST)).ravel()
    starts = np.concatenate([[0], np.flatnonzero(small[1:] != small[:-1]) + 1])
    lengths = np.diff(np.append(starts, small.size))
    counts = np.bincount(answer.classes.ravel(), minlength=len(answer.names))
    palette = make_palette(256)
    there = [int(k) for k in (-counts).argsort(kind="stable") if counts[k]]
    return {
        "title": answer.ending.lstrip("_"),
        "classes": [
            {
                "index": k,
                "name": answer.names[k],
                "color": "#" + bytes(palette[k]).hex(),
                "share": counts[k] / answer.classes.size,
            }
            for k in there
        ],
        "runs": np.column_stack([small[starts], lengths]).ravel().tolist(),
        "png": base64.b64encode(png(answer.classes)).decode(),
    }


def png(classes: np.ndarray) -> bytes:
    """Class indices as a PNG in VOC's palette: its pixels are the classes."""
    image, buffer = Image.fromarray(classes), io.BytesIO()
    image.putpalette(make_palette(256).tobytes())
    image.save(buffer, "PNG")
    return buffer.getvalue()
