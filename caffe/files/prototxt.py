"""A parser of protobuf's text format (.prototxt) that accepts exactly what Caffe's C++ parser does.

Protobuf's Python parser accepts other texts, and not the same ones in each release (`3F`, `- 2`,
`+1`, missing required fields). The grammar is that of protobuf's io/tokenizer.cc and text_format.cc.
"""

import math
import re
from typing import Any

from google.protobuf.descriptor import FieldDescriptor

from ..names import as_text, did_you_mean
from .tokens import END, ParseError, Tokens

_ESCAPE = re.compile(
    r"\\(?:([abfnrtv\\?'\"])|([0-7]{1,3})|[xX]([0-9a-fA-F]{1,2})"
    r"|u([0-9a-fA-F]{4})|U(00(?:0[0-9a-fA-F]|10)[0-9a-fA-F]{4})|(.?))",
    re.DOTALL,
)
_PLAIN = dict(zip("abfnrtv\\?'\"", "\a\b\f\n\r\t\v\\?'\"", strict=True))
_INTEGERS = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
}
_NAMES = {"name", "type", "top", "bottom", "stage", "not_stage", "input"}
_BOOLS = {"true": True, "True": True, "t": True, "false": False, "False": False, "f": False}


def parse_text(text: str | bytes, message: Any, name: str = "<text>", lenient: bool = False) -> Any:
    """Fill `message` from text (str, or bytes as in a file); returns it. `name` is for errors.

    ParseError where Caffe's parser refuses the text. If `lenient`, what the schema lacks within a
    layer is no error: the layer's `unread` names it, and the rest is read.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8", "surrogateescape")
    _Parser(text, name, lenient).parse(message)
    missing = message.FindInitializationErrors()
    if missing:
        kind = message.DESCRIPTOR.name
        raise ParseError(f"{name}: {kind} lacks required field {', '.join(missing)}")
    return message


class _Parser(Tokens):
    """A recursive-descent parser."""

    def __init__(self, text: str, name: str, lenient: bool) -> None:
        self.lenient = lenient
        self.layer: Any = None  # the layer that is being read
        self.path: list[str] = []  # the blocks within it that are being read
        super().__init__(text, name)

    def _not_in_schema(self, reason: str, at: int) -> None:
        """Fail, or note it in the layer that is being read."""
        if not self.lenient or self.layer is None:
            self.fail(reason, at)
        self.layer.unread.append(self.located(reason, at))

    def _keep(self, text: str) -> None:
        """Note in the layer what it states beyond the schema, within the blocks around it."""
        for block in reversed(self.path):
            text = f"{block} {{ {text} }}"
        self.layer.unread_text.append(as_text(text))

    # -- messages --

    def parse(self, message: Any) -> None:
        """Fill a message from the whole text."""
        fields = _fields(message.DESCRIPTOR)
        while self.token is not END:
            self._field(message, fields)

    def _message(self, message: Any) -> None:
        """Fill a message from { ... } or < ... >."""
        closing = ">" if self.take("<") else "}"
        if closing == "}":
            self.expect("{")
        fields = _fields(message.DESCRIPTOR)
        while not (self.token[0] == "symbol" and self.token[1] in (">", "}")):
            if self.token is END:
                self.fail(f"expected '{closing}' to end {message.DESCRIPTOR.name}, the text ends")
            self._field(message, fields)
        self.expect(closing)

    def _field(self, message: Any, fields: dict[str, tuple[FieldDescriptor, bool]]) -> None:
        """Set a field of a message: `name: value`, `name { ... }`, `name: [ ... ]`."""
        at = self.token[2]
        name = self.value(("ident",), "a field's name")
        if name not in fields:
            ending = "_param" if name.endswith("_param") else ""  # which likens all blocks
            alike = [known.removesuffix(ending) for known in fields if known.endswith(ending)]
            hint = did_you_mean(name.removesuffix(ending), alike, f"; did you mean '{{}}{ending}'?")
            hint = _of_another_file(message.DESCRIPTOR, name) or hint
            self._not_in_schema(f"{message.DESCRIPTOR.name} has no field '{name}'{hint}", at)
            end = self._skip_value()
            self._keep(self.text[at:end])
            return
        field, repeated = fields[name]
        if not repeated and message.HasField(name):
            self.fail(f"field '{name}' of {message.DESCRIPTOR.name} is given twice", at)
        colon = self.take(":")
        if not colon and field.message_type is None:
            self.fail(f"expected ':' after '{name}', got {self.shown()}")
        if repeated and self.take("["):
            if not self.take("]"):
                self._one(message, field, repeated)
                while not self.take("]"):
                    self.expect(",")
                    self._one(message, field, repeated)
        else:
            self._one(message, field, repeated)
        if not self.take(";"):
            self.take(",")

    def _skip_value(self) -> int:
        """Go past the value of a field: one token, strings side by side, or all within brackets.

        Returns where it ends.
        """
        self.take(":")
        depth, end = 0, self.end
        while self.token is not END:
            kind, text, _ = self.token
            opens = kind == "symbol" and text in "{<["
            closes = kind == "symbol" and text in "}>]"
            if closes and not depth:
                break
            end = self.end
            self.next()
            depth += opens - closes
            more = text == "-" or kind == "string" and self.token[0] == "string"
            if not depth and not more:
                break
        if not self.take(";"):
            self.take(",")
        return end

    def _one(self, message: Any, field: FieldDescriptor, repeated: bool) -> None:
        """Set a field, or append to it, from one value."""
        if field.message_type is not None:
            if repeated:
                inner = getattr(message, field.name).add()
            else:
                inner = getattr(message, field.name)
                inner.SetInParent()
            outer = self.layer, self.path
            if "unread" in field.message_type.fields_by_name:
                self.layer, self.path = inner, []
            else:
                self.path = [*self.path, field.name]
            self._message(inner)
            self.layer, self.path = outer
            return
        value = self._scalar(field)
        if value is None:
            return
        if field.type == FieldDescriptor.TYPE_STRING:
            set_string(message, field, value)
        elif repeated:
            getattr(message, field.name).append(value)
        else:
            setattr(message, field.name, value)

    # -- values --

    def _scalar(self, field: FieldDescriptor) -> Any:
        kind = field.cpp_type
        if kind in _INTEGERS:
            return self._integer(*_INTEGERS[kind])
        if kind == FieldDescriptor.CPPTYPE_STRING:
            return self._string(field)
        if kind == FieldDescriptor.CPPTYPE_BOOL:
            return self._bool(field)
        if kind == FieldDescriptor.CPPTYPE_ENUM:
            return self._enum(field)
        return self._float()

    def _integer(self, least: int, most: int) -> int:
        at = self.token[2]
        negative = least < 0 and self.take("-")
        text = self.value(("integer",), "an integer")
        octal = len(text) > 1 and text[0] == "0" and text[1] not in "xX"
        value = int(text, 8 if octal else 0)
        value = -value if negative else value
        if not least <= value <= most:
            self.fail(f"{value} is out of range: {least} to {most}", at)
        return value

    def _float(self) -> float:
        sign = -1.0 if self.take("-") else 1.0
        at = self.token[2]
        text = self.value(("integer", "float", "ident"), "a number").lower()
        if text in ("inf", "infinity"):
            return sign * math.inf
        if text == "nan":
            return math.copysign(math.nan, sign)
        if not re.fullmatch(r"(?!0[0-9]+$)[0-9.].*", text) or text.startswith("0x"):
            self.fail(f"expected a decimal number, got '{text}'", at)
        return sign * float(text.rstrip("f"))

    def _bool(self, field: FieldDescriptor) -> bool:
        at = self.token[2]
        if self.token[0] == "integer":
            return bool(self._integer(0, 1))
        text = self.value(("ident",), "true or false")
        if text not in _BOOLS:
            self.fail(f"'{field.name}' is true or false, got '{text}'", at)
        return _BOOLS[text]

    def _enum(self, field: Any) -> int | None:
        """The number of an enum's value; None for one that the schema lacks."""
        at = self.token[2]
        if self.token[0] == "ident":
            text: str | int = self.value(("ident",), "")
            value = field.enum_type.values_by_name.get(text)
        elif self.token[0] == "integer" or self.token[1] == "-":
            text = self._integer(-(2**31), 2**31 - 1)
            value = field.enum_type.values_by_number.get(text)
        else:
            text, value = self.shown(), None
        if value is None and self.lenient and field.containing_type.name == "V1LayerParameter":
            self.layer.other_type = str(text)
        elif value is None:
            known = ", ".join(field.enum_type.values_by_name)
            self._not_in_schema(f"'{field.name}' is one of {known}, got {text}", at)
            self._keep(f"{field.name}: {text}")
        return value.number if value else None

    def _string(self, field: FieldDescriptor) -> str | bytes:
        """Adjacent strings, joined; bytes that are not UTF-8 are lone surrogates."""
        pieces: list[bytes] = []
        while self.token[0] == "string" or not pieces:
            start = self.token[2]
            pieces.append(self._unescape(self.value(("string",), "a string")[1:-1], start))
        value = b"".join(pieces)
        if field.type == FieldDescriptor.TYPE_BYTES:
            return value
        return value.decode("utf-8", "surrogateescape")

    def _unescape(self, text: str, at: int) -> bytes:
        """The bytes that a string with escape sequences stands for."""

        def byte(match: re.Match[str]) -> str:
            plain, octal, hexadecimal, short, long, bad = match.groups()
            if bad is not None:
                self.fail(f"unknown escape sequence \\{bad} in a string", at)
            if short or long:
                return chr(int(short or long, 16))
            code = ord(_PLAIN[plain]) if plain else int(octal, 8) if octal else int(hexadecimal, 16)
            code &= 0xFF
            return chr(code) if code < 0x80 else chr(0xDC00 + code)  # a lone byte: surrogateescape

        try:
            return _ESCAPE.sub(byte, text).encode("utf-8", "surrogateescape")
        except UnicodeEncodeError as error:
            self.fail(f"no character: {error.object[error.start]!r}", at)


# a kind of file -> the other, which is taken for it
_OTHER_FILES = {"NetParameter": "SolverParameter", "SolverParameter": "NetParameter"}
_READERS = {
    "NetParameter": "a net: caffe.Net reads it",
    "SolverParameter": "a solver: caffe.get_solver reads it",
}


def _of_another_file(descriptor: Any, name: str) -> str:
    """Says that a net was given for a solver, or the other way round; empty if neither has the field."""
    other = _OTHER_FILES.get(descriptor.name, "")
    message = descriptor.file.message_types_by_name.get(other)
    known = message is not None and name in message.fields_by_name
    return f"; {other} has it, so this file is {_READERS[other]}" if known else ""


def set_string(message: Any, field: Any, text: str) -> None:
    r"""Set a string field, or append to it. To Caffe strings are bytes, of any encoding.

    Protobuf holds UTF-8. Of other bytes names of layers and blobs are made printable, as those of
    weights are (\x escapes); paths and all others are kept, and read as `bytes`: os.fsdecode.
    """
    if field.name in _NAMES:
        text = as_text(text)
    value = text.encode("utf-8", "surrogateescape")
    if not _repeated(field):
        message.ClearField(field.name)
    key = field.number << 3 | 2  # a string's
    message.MergeFromString(_varint(key) + _varint(len(value)) + value)


def _varint(number: int) -> bytes:
    """A number in protobuf's variable length."""
    groups = []
    while number >= 0x80:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*groups, number])


_cache: dict[str, dict[str, tuple[FieldDescriptor, bool]]] = {}


def _fields(descriptor: Any) -> dict[str, tuple[FieldDescriptor, bool]]:
    """Field name -> (field, repeated or not) of a message type."""
    if descriptor.full_name not in _cache:
        _cache[descriptor.full_name] = {f.name: (f, _repeated(f)) for f in descriptor.fields}
    return _cache[descriptor.full_name]


def _repeated(field: Any) -> bool:
    if hasattr(field, "is_repeated"):  # protobuf 6.31 and newer, where `label` warns
        return field.is_repeated
    return field.label == FieldDescriptor.LABEL_REPEATED
