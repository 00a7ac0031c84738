"""Shapes of values in a playbook. Each reads a node, saying every mistake, and knows its JSON Schema.

Reading is at least as strict as the schema: what the schema refuses, `read` refuses.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from irkit.engine import parameters
from irkit.engine.positions import Fields, Items, Mistakes, Node, Scalar
from irkit.text import nearest, printable

REFUSED: Any = object()
"""What `read` returns after it said a mistake."""

MAX_ITEMS = 200


class Context(msgspec.Struct, frozen=True):
    """Where mistakes go, and what ``${…}`` may name."""

    mistakes: Mistakes
    names: Mapping[str, str] = {}


class Shape(Protocol):
    """``what`` names the field in sentences."""

    def read(self, node: Node, what: str, context: Context) -> Any:
        """The value of ``node``, or REFUSED."""

    def schema(self) -> dict[str, Any]: ...


def refuse(node: Node, context: Context, message: str) -> Any:
    context.mistakes.at(node, message)
    return REFUSED


def shown(node: Node) -> str:
    """A node in a sentence."""
    match node:
        case Items():
            return "a list"
        case Fields():
            return "a mapping"
        case Scalar(value=str(text)):
            return f"'{printable(text, 60)}'"
        case Scalar(value=bool(value)):
            return "true" if value else "false"
        case Scalar(value=None):
            return "nothing"
        case Scalar(value=number):
            return str(number)


def known(word: str, among: Mapping[str, Any] | tuple[str, ...]) -> str:
    """The end of a sentence about a word that is not known."""
    near = nearest(word, among)
    return f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(among) or 'none'}"


class Text(msgspec.Struct, frozen=True):
    """Text; ``pattern`` and its meaning ``form``; ``line``: on one line; ``fills``: ``${…}`` are replaced in it."""

    pattern: str = ""
    form: str = "text"
    line: bool = True
    fills: bool = False
    limit: int = 4000

    def read(self, node: Node, what: str, context: Context) -> Any:
        if not isinstance(node, Scalar) or not isinstance(node.value, str):
            quote = "; quote it" if isinstance(node, Scalar) and node.value is not None else ""
            return refuse(node, context, f"{what!r} takes {self.form}, not {shown(node)}{quote}")
        text = node.value
        if not text.strip() or len(text) > self.limit or (self.line and "\n" in text):
            bound = " on one line" if self.line else ""
            return refuse(node, context, f"{what!r} takes {self.form}{bound}, of 1 to {self.limit} characters")
        if self.pattern and not re.fullmatch(self.pattern, text):
            return refuse(node, context, f"{what!r} takes {self.form}, not {shown(node)}")
        if self.fills and (why := parameters.problem(what, text, "string", context.names)):
            return refuse(node, context, why)
        return text

    def schema(self) -> dict[str, Any]:
        pattern = {"pattern": f"^(?:{self.pattern})$"} if self.pattern else {}
        return {"type": "string", "minLength": 1, "maxLength": self.limit, **pattern}


class Choice(msgspec.Struct, frozen=True):
    """One of a few words."""

    among: tuple[str, ...]
    noun: str = ""

    def read(self, node: Node, what: str, context: Context) -> Any:
        if isinstance(node, Scalar) and isinstance(node.value, str):
            if node.value in self.among:
                return node.value
            return refuse(node, context, f"no {self.noun or what} {shown(node)}{known(node.value, self.among)}")
        return refuse(node, context, f"{what!r} takes one of {', '.join(self.among)}, not {shown(node)}")

    def schema(self) -> dict[str, Any]:
        return {"enum": list(self.among)}


class Duration(msgspec.Struct, frozen=True):
    """``90s``, ``2m``, ``1h30m``: seconds."""

    def read(self, node: Node, what: str, context: Context) -> Any:
        value = parameters.seconds(node.value) if isinstance(node, Scalar) and isinstance(node.value, str) else None
        return value if value is not None else refuse(node, context, f"{what!r} takes {parameters.expected('duration')}, not {shown(node)}")

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": r"^(?:[0-9]{1,4}h)?(?:[0-9]{1,4}m)?(?:[0-9]{1,5}s)?$", "minLength": 2}


class Literal(msgspec.Struct, frozen=True):
    """A number or boolean; with ``fills``, a reference to one instead."""

    kind: type
    fills: bool = False

    @property
    def takes(self) -> str:
        return "boolean" if self.kind is bool else "integer"

    def read(self, node: Node, what: str, context: Context) -> Any:
        value = node.value if isinstance(node, Scalar) else None
        if type(value) is self.kind or (self.kind is float and type(value) is int):
            return value
        if self.fills and isinstance(value, str):
            why = parameters.problem(what, value, self.takes, context.names)
            return refuse(node, context, why) if why else value
        form = "a number" if self.kind is float else parameters.label(self.takes)
        return refuse(node, context, f"{what!r} takes {form}, not {shown(node)}")

    def schema(self) -> dict[str, Any]:
        own: dict[str, Any] = {"type": {bool: "boolean", int: "integer", float: "number"}[self.kind]}
        return {"anyOf": [own, _REFERENCE]} if self.fills else own


class Whole(msgspec.Struct, frozen=True):
    """A whole number within bounds."""

    low: int
    high: int

    def read(self, node: Node, what: str, context: Context) -> Any:
        value = node.value if isinstance(node, Scalar) else None
        if type(value) is int and self.low <= value <= self.high:
            return value
        return refuse(node, context, f"{what!r} takes a whole number from {self.low} to {self.high}, not {shown(node)}")

    def schema(self) -> dict[str, Any]:
        return {"type": "integer", "minimum": self.low, "maximum": self.high}


_REFERENCE: dict[str, Any] = {"type": "string", "pattern": r"^\$\{[^}]+\}$"}


class Reference(msgspec.Struct, frozen=True):
    """``${…}`` of something bound; for ``pods`` also a list of pods."""

    takes: str  # pod | pods | workload | node

    def read(self, node: Node, what: str, context: Context) -> Any:
        if isinstance(node, Items) and self.takes == "pods":
            return List(Reference("pod")).read(node, what, context)
        if not isinstance(node, Scalar) or not isinstance(node.value, str):
            return refuse(node, context, f"{what!r} takes {parameters.label(self.takes)}, as in ${{…}}, not {shown(node)}")
        why = parameters.problem(what, node.value, self.takes, context.names)
        return refuse(node, context, why) if why else node.value

    def schema(self) -> dict[str, Any]:
        many = {"type": "array", "items": _REFERENCE, "minItems": 1, "uniqueItems": True}
        return {"anyOf": [_REFERENCE, many]} if self.takes == "pods" else dict(_REFERENCE)


class List(msgspec.Struct, frozen=True):
    """A list. Each value once, unless it may come ``again``; ``loose``: each for itself, so that those which can be read are."""

    of: Shape
    empty: bool = False
    loose: bool = False
    again: bool = False

    def read(self, node: Node, what: str, context: Context) -> Any:
        if not isinstance(node, Items):
            return refuse(node, context, f"{what!r} takes a list, not {shown(node)}")
        if not node.values and not self.empty:
            return refuse(node, context, f"{what!r} is empty; name at least one, or leave it out")
        if len(node.values) > MAX_ITEMS:
            return refuse(node, context, f"{what!r} takes at most {MAX_ITEMS} values, not {len(node.values)}")
        values = [self.of.read(value, what, context) for value in node.values]
        if self.loose:
            return tuple(value for value in values if value is not REFUSED)
        if any(value is REFUSED for value in values):
            return REFUSED
        twice = next((i for i, value in enumerate(values) if value in values[:i]), None)
        if twice is not None and not self.again:
            return refuse(node.values[twice], context, f"{what!r} has {shown(node.values[twice])} twice")
        return tuple(values)

    def schema(self) -> dict[str, Any]:
        bounds = ({} if self.empty else {"minItems": 1}) | ({} if self.loose or self.again else {"uniqueItems": True})
        return {"type": "array", "items": self.of.schema(), "maxItems": MAX_ITEMS, **bounds}


class Texts(msgspec.Struct, frozen=True):
    """A mapping from names (any, or those of the ``pattern``) to ``of``."""

    of: Shape
    pattern: str = ""

    def read(self, node: Node, what: str, context: Context) -> Any:
        if not isinstance(node, Fields):
            return refuse(node, context, f"{what!r} takes a mapping, not {shown(node)}")
        if len(node.entries) > MAX_ITEMS:
            return refuse(node, context, f"{what!r} takes at most {MAX_ITEMS} names, not {len(node.entries)}")
        for key, _ in node.entries:
            if self.pattern and not re.fullmatch(self.pattern, str(key.value)):
                context.mistakes.at(key, f"{shown(key)} is no name in {what!r}: lower-case letters, digits, dots and dashes, at most 63")
        found = {str(key.value): self.of.read(value, str(key.value), context) for key, value in node.entries}
        return REFUSED if any(v is REFUSED for v in found.values()) else found

    def schema(self) -> dict[str, Any]:
        names = {"propertyNames": {"pattern": f"^(?:{self.pattern})$"}} if self.pattern else {}
        return {"type": "object", "additionalProperties": self.of.schema(), "maxProperties": MAX_ITEMS, **names}


class Field(msgspec.Struct, frozen=True):
    shape: Shape
    required: bool = False
    help: str = ""
    default: Any = None  # as written, for the schema


class Record(msgspec.Struct, frozen=True):
    """A mapping with known fields. ``noun`` names it in sentences: ``a step``."""

    fields: Mapping[str, Field]
    noun: str

    def read(self, node: Node, what: str, context: Context) -> Any:
        """The fields that could be read, those refused left out; REFUSED where it is no mapping at all."""
        if not isinstance(node, Fields):
            return refuse(node, context, f"{self.noun} is a mapping of fields, not {shown(node)}")
        values: dict[str, Any] = {}
        for key, value in node.entries:
            name = str(key.value)
            if name not in self.fields:
                context.mistakes.at(key, f"no field {shown(key)} in {self.noun}{known(name, self.fields)}")
            elif (read := self.fields[name].shape.read(value, name, context)) is not REFUSED:
                values[name] = read
        written = {key.value for key, _ in node.entries}
        for name, spec in self.fields.items():
            if spec.required and name not in written:
                context.mistakes.at(node, f"{self.noun} needs {name!r}")
        return values

    def schema(self) -> dict[str, Any]:
        required = [name for name, spec in self.fields.items() if spec.required]
        return {"type": "object", "additionalProperties": False, "properties": {n: _described(f) for n, f in self.fields.items()},
                **({"required": required} if required else {})}  # fmt: skip


def _described(spec: Field) -> dict[str, Any]:
    extra = ({"description": spec.help} if spec.help else {}) | ({"default": spec.default} if spec.default is not None else {})
    return {**spec.shape.schema(), **extra}
