"""What comes over the network: a body of bounded length, and the picture in it. Nothing touches the disk."""

import io
import time
from collections.abc import Callable
from email.message import Message

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from fcn.pictures import can_read_heic, is_heic, rgb, stored_orientation

# Formats that are read. Not EPS, for which Pillow runs Ghostscript on what a stranger has written.
FORMATS = (
    *("JPEG", "MPO", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "JPEG2000", "AVIF", "HEIF"),
)
PART = 1 << 16  # bytes that are read at once
SECONDS = 60  # that an upload may take
BOMBS = (Image.DecompressionBombError, Image.DecompressionBombWarning)


class Refused(Exception):
    """A request that is not served: its HTTP status, and a sentence for people."""

    def __init__(self, status: int, sentence: str) -> None:
        """With both."""
        super().__init__(sentence)
        self.status, self.sentence = status, sentence


# ---- the body


def length_of(headers: Message, most: int) -> int:
    """The length that a request states; Refused without one, and for one over `most` bytes."""
    stated = headers.get_all("Content-Length", [])
    if "Transfer-Encoding" in headers or not stated:
        raise Refused(411, "The upload does not say how long it is (Content-Length).")
    if len(stated) != 1 or not (stated[0].isascii() and stated[0].isdigit()):
        raise Refused(400, "The upload's Content-Length is no number.")
    length = int(stated[0][:20])
    if length > most:
        raise Refused(413, f"The file has {megabytes(length)}; up to {megabytes(most)} are taken.")
    if not length:
        raise Refused(400, "The file is empty.")
    return length


def read_body(read: Callable[[int], bytes], length: int) -> bytes:
    """A body of `length` bytes by `read`, which gives some; Refused if it is cut off or takes too long."""
    end, body = time.monotonic() + SECONDS, bytearray()
    while len(body) < length:
        try:
            part = read(min(PART, length - len(body)))
        except TimeoutError:
            part, end = b"", 0.0
        if time.monotonic() > end:
            raise Refused(408, f"The upload took too long: {came(body, length)}.")
        if not part:
            raise Refused(400, f"The upload was cut off: {came(body, length)}.")
        body += part
    return bytes(body)


def came(body: bytearray, length: int) -> str:
    """How much of an upload is there."""
    return f"{len(body):,} of {length:,} bytes came"


def megabytes(count: int) -> str:
    """Bytes for people."""
    return f"{count / 1e6:,.1f} MB".replace(".0 ", " ") if count >= 100_000 else f"{count:,} bytes"


# ---- the picture


def read_picture(data: bytes, most_pixels: int) -> np.ndarray:
    """The picture in a file's bytes, H x W x 3 uint8 RGB, upright.

    Refused for what is no picture, is damaged, or has over `most_pixels`: that is read in the header,
    before anything is decoded, since a file of a few kilobytes may claim any size.
    """
    if is_heic(data[:12]) and not can_read_heic():
        raise Refused(
            415, "The file is HEIC, which is not read here (pi-heif is missing): send a JPEG."
        )
    Image.init()
    known = [name for name in FORMATS if name in Image.OPEN]
    try:
        image = Image.open(io.BytesIO(data), formats=known)
    except BOMBS as error:
        raise too_large(most_pixels) from error
    except UnidentifiedImageError as error:
        listed = ", ".join(name for name in known if name != "MPO")
        raise Refused(
            415, f"The file is no picture of a kind that is read here: {listed}."
        ) from error
    except Exception as error:  # whatever a decoder raises for a header that makes no sense
        raise damaged(error) from error
    width, height = image.size
    if width * height > most_pixels:
        raise Refused(
            413,
            f"The picture has {width}x{height} = {width * height:,} pixels; "
            f"up to {most_pixels:,} are taken.",
        )
    try:
        image.load()
        return rgb(image if stored_orientation(image) == 1 else ImageOps.exif_transpose(image))
    except BOMBS as error:
        raise too_large(most_pixels) from error
    except MemoryError:
        raise
    except Exception as error:  # decoders raise a dozen types on damaged files
        raise damaged(error) from error


def too_large(most_pixels: int) -> Refused:
    """The refusal of what Pillow does not open for its size."""
    most = min(most_pixels, Image.MAX_IMAGE_PIXELS or most_pixels)
    return Refused(413, f"The picture has too many pixels; up to {most:,} are taken.")


def damaged(error: Exception) -> Refused:
    """The refusal of what a decoder cannot read, or does not unpack."""
    if "too large" in str(error).lower():  # Pillow's, which names its own modules
        return Refused(413, "The picture's text or colour profile unpacks to more than is taken.")
    return Refused(422, f"The picture is damaged: {error}")
