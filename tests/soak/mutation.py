"""Files as strangers send them: a good one with some of it changed, as a strategy of hypothesis."""

import re
import zlib
from collections.abc import Sequence

from hypothesis import strategies as st

# What sizes, counts and positions are taken for where nobody checks them
NUMBERS = (
    0,
    1,
    2,
    127,
    128,
    255,
    256,
    2**15,
    2**16 - 1,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**63,
    2**64 - 1,
)
WORDS = re.compile(rb"[A-Za-z_]\w*|-?\d+\.?\d*")
TEXTS = (
    b"-1",
    b"0",
    b"1e40",
    b"nan",
    b"99999999999999999999",
    b"1000000000",
    b"\xff\xfe",
    b'"',
    b"{",
    b"}",
)
MOST_EDITS, MOST_GROWTH = 6, 1 << 12


def varint(value: int) -> bytes:
    """A number as protobuf writes it."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def spellings(value: int) -> list[bytes]:
    """A number as files write it: of one to eight bytes in both orders, and as a varint."""
    sizes = [size for size in (1, 2, 4, 8) if value < 256**size]
    return [
        *(value.to_bytes(size, order) for size in sizes for order in ("little", "big")),
        varint(value),
    ]


@st.composite
def edits(draw: st.DrawFn, content: bytes) -> bytes:
    """A content with up to six edits: a byte, a number, a word, a piece left out, twice or elsewhere."""
    raw = bytearray(content)
    for _ in range(draw(st.integers(1, MOST_EDITS))):
        at = draw(st.integers(0, max(0, len(raw) - 1)))
        kind = draw(st.sampled_from(("byte", "number", "word", "cut", "again", "end", "insert")))
        end = min(len(raw), at + draw(st.integers(1, 64)))
        if kind == "byte":
            raw[at : at + 1] = draw(st.binary(min_size=1, max_size=1))
        elif kind == "number":
            new = draw(st.sampled_from(spellings(draw(st.sampled_from(NUMBERS)))))
            raw[at : at + len(new)] = new
        elif kind == "word" and (found := WORDS.search(raw, at)):
            raw[slice(*found.span())] = draw(st.sampled_from(TEXTS))
        elif kind == "cut":
            del raw[at:end]
        elif kind == "again" and len(raw) < len(content) + MOST_GROWTH:
            raw[at:at] = raw[at:end]
        elif kind == "end":
            del raw[at:]
        elif kind == "insert":
            raw[at:at] = draw(st.binary(max_size=8))
    return bytes(raw)


def changed(seeds: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """One of the seeds with some of it changed; seldom bytes that are of no kind at all."""
    return st.one_of(*(edits(seed) for seed in seeds), st.binary(max_size=64))


def png_with_right_sums(raw: bytes) -> bytes:
    """A PNG whose checksums fit what it has been changed to, so that more of it is read."""
    out, at = bytearray(raw[:8]), 8
    while at + 12 <= len(raw):
        size = int.from_bytes(raw[at : at + 4], "big")
        if size > len(raw) - at - 12:
            break
        body = raw[at + 4 : at + 8 + size]
        out += raw[at : at + 8 + size] + zlib.crc32(body).to_bytes(4, "big")
        at += 12 + size
    return bytes(out + raw[at:])
