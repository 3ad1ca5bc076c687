"""Prototxt without a schema: what a block states, as a dict of Python's values."""

from typing import Any

from google.protobuf.descriptor import FieldDescriptor

from .tokens import END, Tokens

_WORDS = {"true": True, "false": False}


def read_plain(text: str, name: str = "<text>") -> dict[str, Any]:
    """The fields of a text: numbers, True or False, strings, words of enums; a dict of a block.

    A field that is given more than once, or in brackets, is a list. ParseError for what is no text
    of protobuf's.
    """
    return _Plain(text, name).fields(END)


def of_message(message: Any) -> dict[str, Any]:
    """Likewise, what a message of the schema states."""
    found = {}
    for field, value in message.ListFields():
        many = isinstance(field.default_value, list)
        values = [_value(field, each) for each in (value if many else [value])]
        found[field.name] = values if many else values[0]
    return found


def _value(field: Any, value: Any) -> Any:
    if field.cpp_type == FieldDescriptor.CPPTYPE_MESSAGE:
        return of_message(value)
    if field.cpp_type == FieldDescriptor.CPPTYPE_ENUM:
        return field.enum_type.values_by_number[value].name
    if field.cpp_type == FieldDescriptor.CPPTYPE_FLOAT:
        return float(f"{value:.7g}")  # 0.1, as it was written, not the float32 next to it
    return value


class _Plain(Tokens):
    """Reads fields, whatever they are called."""

    def fields(self, closing: Any) -> dict[str, Any]:
        found: dict[str, Any] = {}
        several: set[str] = set()
        while self.token is not END if closing is END else not self.take(closing):
            name = self.value(("ident",), "a field's name")
            self.take(":")
            values, listed = self._values()
            if name in found and name not in several:
                found[name], listed = [found[name]], True
            if listed:
                several.add(name)
                found.setdefault(name, []).extend(values)
            else:
                found[name] = values[0]
            if not self.take(";"):
                self.take(",")
        return found

    def _values(self) -> tuple[list[Any], bool]:
        """The values of a field, and whether they stand in brackets."""
        if not self.take("["):
            return [self._one()], False
        values: list[Any] = []
        while not self.take("]"):
            values.append(self._one())
            self.take(",")
        return values, True

    def _one(self) -> Any:
        for opening, closing in ("{}", "<>"):
            if self.take(opening):
                return self.fields(closing)
        if self.token[0] == "string":
            text = ""
            while self.token[0] == "string":
                text += self.value(("string",), "")[1:-1]
            return text
        sign = -1 if self.take("-") else 1
        kind, word, at = self.token
        self.value(("ident", "integer", "float"), "a value")
        if kind == "ident":
            return sign * float(word) if word in ("inf", "nan") else _WORDS.get(word, word)
        if kind == "float":
            return sign * float(word.rstrip("fF"))
        octal = len(word) > 1 and word[0] == "0" and word[1] not in "xX"
        return sign * int(word, 8 if octal else 0)
