"""The tokens of protobuf's text format (.prototxt), as the C++ tokenizer splits text into them."""

import re
from collections.abc import Sequence
from typing import NoReturn

from ..names import as_text

_TOKEN = re.compile(
    r"""(?P<ident>[A-Za-z_][A-Za-z0-9_]*)
      | (?P<integer>0[xX][0-9a-fA-F]+|0[0-9]+)
      | (?P<decimal>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?[fF]?)
      | (?P<string>"(?:[^"\\\n]|\\[^\n])*"|'(?:[^'\\\n]|\\[^\n])*')
      | (?P<symbol>[^\s"'])""",
    re.VERBOSE,
)
_BLANK = re.compile(r"(?:[ \t\n\r\v\f]+|#[^\n]*)*")
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f]")
END = ("end", "", -1)


class ParseError(ValueError):
    """Text that is no message of the wanted type: file:line:column and the reason."""


class Tokens:
    """A text with one token of lookahead, `token`: (kind, text, position)."""

    def __init__(self, text: str, name: str) -> None:
        self.text = text
        self.name = name
        self.token: tuple[str, str, int] = END
        self.end = 0  # where the current token ends
        self.next()

    def fail(self, reason: str, at: int | None = None) -> NoReturn:
        """Raise ParseError at a position of the text, by default that of the current token."""
        raise ParseError(self.located(reason, self.token[2] if at is None else at))

    def located(self, reason: str, at: int) -> str:
        """A reason behind the file, line and column of a position of the text."""
        at = len(self.text.rstrip()) if at < 0 else at
        line = self.text.count("\n", 0, at) + 1
        column = at - self.text.rfind("\n", 0, at)
        return f"{self.name}:{line}:{column}: {as_text(reason)}"

    def next(self) -> None:
        """Go to the next token."""
        blank = _BLANK.match(self.text, self.end)
        start = blank.end() if blank else self.end
        if start == len(self.text):
            self.token, self.end = END, start
            return
        match = _TOKEN.match(self.text, start)
        if match is None or _CONTROL.match(self.text, start):
            bad = self.text[start]
            self.fail("string without closing quote" if bad in "\"'" else f"stray {bad!r}", start)
        if match.group() == "\ufeff":
            self.fail("a byte order mark: save the file without it", start)
        kind, self.end = match.lastgroup or "", match.end()
        if kind in ("integer", "decimal"):
            kind = self._number(match.group(), start)
        elif kind == "ident" and re.match(r"\.[0-9]", self.text[self.end : self.end + 2]):
            self.fail("a space is due between a name and a decimal point", self.end)
        elif kind == "symbol" and match.group() > "\x7e":
            self.fail(f"{match.group()!r} outside a string or comment", start)
        self.token = (kind, match.group(), start)

    def _number(self, text: str, start: int) -> str:
        """The kind of a number, "integer" or "float"; an error for what C++ refuses."""
        after = self.text[self.end : self.end + 1]
        hexadecimal = text[:2] in ("0x", "0X")
        if not hexadecimal and re.match("0[0-9]", text) and text.strip("01234567"):
            self.fail(f"{text}: numbers that begin with 0 are octal", start)
        plain = text.isdigit()
        if after == "." or (text == "0" and after in ("x", "X")):
            self.fail(f"malformed number {text}{after}", start)
        if after in ("e", "E") and re.fullmatch(r"(?!0[0-9])[0-9.]+", text):
            self.fail(f"{text}{after}: the exponent is missing", start)
        return "integer" if hexadecimal or plain else "float"

    def take(self, symbol: str) -> bool:
        """Go past `symbol` if it is the current token; returns whether it was."""
        found = self.token[0] == "symbol" and self.token[1] == symbol
        if found:
            self.next()
        return found

    def expect(self, symbol: str) -> None:
        """Go past `symbol`, or fail."""
        if not self.take(symbol):
            self.fail(f"expected '{symbol}', got {self.shown()}")

    def shown(self) -> str:
        """The current token, as an error quotes it."""
        return f"'{self.token[1]}'" if self.token is not END else "the end of the text"

    def value(self, kinds: Sequence[str], wanted: str) -> str:
        """The current token's text if it is of one of these kinds, and go on; else fail."""
        if self.token[0] not in kinds:
            self.fail(f"expected {wanted}, got {self.shown()}")
        text = self.token[1]
        self.next()
        return text
