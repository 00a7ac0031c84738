"""YAML read into a tree whose every value knows its line and column.

A playbook decides what happens to a cluster, and a scenario comes from strangers, so only the part of YAML is read that every
parser reads alike: no tags, anchors, aliases or merge keys, no key twice, no ``on``/``yes`` and no octal or sexagesimal numbers
unquoted (YAML 1.1 and 1.2 disagree about these), and everything within bounds. The tree is built from parser events, without
recursion.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from irkit import API_VERSION
from irkit.errors import Mistake, PlaybookError
from irkit.text import printable

MAX_BYTES = 1 << 20
MAX_DEPTH = 32
MAX_VALUES = 20_000
MAX_MISTAKES = 100

# Controls; NEL and the Unicode line breaks, which editors count differently; marks that reorder what is seen (CVE-2021-42574).
_UNSEEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff\ufffe\uffff]")
_BOOLEAN_OF_1_1 = re.compile(r"(?:on|off|yes|no)", re.IGNORECASE)
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?")
_NUMBER_OF_ONE_VERSION = re.compile(
    r"[-+]?(?:0[0-9_]+|0x[0-9a-f_]+|0o[0-7]+|0b[01_]+|[0-9][0-9_]*(?:_[0-9]*)+(?:\.[0-9_]*)?|[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?|\.inf|\.nan)",
    re.IGNORECASE,
)
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("true", "True", "TRUE"), True), **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
}  # fmt: skip


class Scalar(msgspec.Struct, frozen=True):
    value: str | int | float | bool | None
    line: int
    column: int


class Items(msgspec.Struct, frozen=True):
    values: tuple[Node, ...]
    line: int
    column: int


class Fields(msgspec.Struct, frozen=True):
    """A mapping; every key is text and there once."""

    entries: tuple[tuple[Scalar, Node], ...]
    line: int
    column: int

    def get(self, name: str) -> Node | None:
        return next((node for key, node in self.entries if key.value == name), None)


Node: TypeAlias = Scalar | Items | Fields


class Mistakes:
    """What is wrong with one file, in the order in which it was found. ``noun``: what it should be, in sentences."""

    def __init__(self, file: str, noun: str = "playbook") -> None:
        self.file, self.noun = file, noun
        self.found: list[Mistake] = []
        self._unread: set[tuple[int, int]] = set()  # places whose value is not what its author meant

    def say(self, line: int, column: int, message: str) -> None:
        if len(self.found) < MAX_MISTAKES:
            self.found.append(Mistake(self.file, line, column, message))
        elif len(self.found) == MAX_MISTAKES:
            self.found.append(Mistake(self.file, line, column, f"more than {MAX_MISTAKES} mistakes; the others are not listed"))

    def at(self, node: Node, message: str) -> None:
        """Say what is wrong with a value, unless it could not be read to begin with."""
        if (node.line, node.column) not in self._unread:
            self.say(node.line, node.column, message)

    def unread(self, line: int, column: int, message: str) -> None:
        self.say(line, column, message)
        self._unread.add((line, column))

    def stop(self, line: int, column: int, message: str) -> PlaybookError:
        """The error to raise where reading on makes no sense."""
        self.say(line, column, message)
        return PlaybookError(self.found)


def read(path: Path) -> bytes:
    """What is in a file, one octet more than may be at most. Raises PlaybookError: that it can't be read is a mistake in it."""
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise PlaybookError([Mistake(str(path), 1, 1, f"can't be read: {printable(reason)}")]) from None


def compose(source: bytes, mistakes: Mistakes) -> Node:
    """The one document in ``source``. Raises PlaybookError where it can't be read at all; says the rest to ``mistakes``."""
    text = _decoded(source, mistakes)
    stack: list[_Open] = []
    root: Node | None = None
    values = 0
    for event in _events(text, mistakes):
        kind = type(event).__name__
        if kind == "DocumentStartEvent" and root is not None:
            raise mistakes.stop(*_place(event), f"a second document begins here; a {mistakes.noun} is one document")
        if kind in ("SequenceEndEvent", "MappingEndEvent"):
            node = stack.pop().close(mistakes)
        elif kind in ("ScalarEvent", "SequenceStartEvent", "MappingStartEvent", "AliasEvent"):
            values += 1
            _refuse(event, kind, len(stack), values, mistakes)
            if kind != "ScalarEvent":
                stack.append(_Open(kind == "MappingStartEvent", *_place(event)))
                continue
            node = _scalar(event, mistakes)
        else:
            continue
        if stack:
            stack[-1].children.append(node)
        else:
            root = node
    if root is None or (isinstance(root, Scalar) and root.value is None):
        raise mistakes.stop(1, 1, f"the file is empty; a {mistakes.noun} begins with `apiVersion: {API_VERSION}`")
    return root


class _Open:
    """A list or mapping whose end has not been seen."""

    __slots__ = ("children", "column", "line", "mapping")

    def __init__(self, mapping: bool, line: int, column: int) -> None:
        self.mapping, self.line, self.column = mapping, line, column
        self.children: list[Node] = []

    def close(self, mistakes: Mistakes) -> Node:
        if not self.mapping:
            return Items(tuple(self.children), self.line, self.column)
        entries: dict[str, tuple[Scalar, Node]] = {}
        for key, value in zip(self.children[::2], self.children[1::2], strict=True):
            if not isinstance(key, Scalar) or not isinstance(key.value, str):
                mistakes.at(key, "a key must be text; quote it" if isinstance(key, Scalar) else "a key must be text, not a list or a mapping")
            elif key.value == "<<":
                mistakes.at(key, "merge keys (<<) are not read; write the fields out")
            elif key.value in entries:
                mistakes.at(key, f"duplicate key {_shown(key.value)}; it is on line {entries[key.value][0].line} already")
            else:
                entries[key.value] = (key, value)
        return Fields(tuple(entries.values()), self.line, self.column)


def plain(node: Node) -> Any:
    """The tree as Python values, as a JSON Schema validator takes them."""
    match node:
        case Scalar():
            return node.value
        case Items():
            return [plain(value) for value in node.values]
        case Fields():
            return {key.value: plain(value) for key, value in node.entries}


def _decoded(source: bytes, mistakes: Mistakes) -> str:
    if len(source) > MAX_BYTES:
        raise mistakes.stop(1, 1, f"larger than 1 MiB; that is no {mistakes.noun}")
    try:
        text = source.removeprefix(b"\xef\xbb\xbf").decode()
    except UnicodeDecodeError as error:
        before = source[: error.start].decode(errors="replace")
        raise mistakes.stop(*_after(before), f"not UTF-8: byte 0x{source[error.start]:02x}") from None
    if found := _UNSEEN.search(text):
        raise mistakes.stop(*_after(text[: found.start()]), f"character U+{ord(found[0]):04X} can't be seen; write it as an escape or leave it out")
    return text


def _after(before: str) -> tuple[int, int]:
    return before.count("\n") + 1, len(before) - before.rfind("\n")


def _events(text: str, mistakes: Mistakes) -> Iterator[Any]:
    import yaml

    try:
        yield from yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        context = f" {error.context}" if error.context else ""
        raise mistakes.stop(line, column, f"not valid YAML: {printable(error.problem or 'not readable')}{printable(context)}") from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # the C parser's own errors, and \U escapes beyond Unicode
        raise mistakes.stop(1, 1, f"not valid YAML: {printable(error)}") from None


def _place(event: Any) -> tuple[int, int]:
    return event.start_mark.line + 1, event.start_mark.column + 1


def _refuse(event: Any, kind: str, depth: int, values: int, mistakes: Mistakes) -> None:
    """Raises where the file is out of bounds; says what is not read."""
    if kind == "AliasEvent" or event.anchor is not None:
        raise mistakes.stop(*_place(event), f"anchors and aliases ({_shown(event.anchor, quote='')}) are not read; write the value out")
    if depth >= MAX_DEPTH:
        raise mistakes.stop(*_place(event), f"nested deeper than {MAX_DEPTH} levels; that is no {mistakes.noun}")
    if values > MAX_VALUES:
        raise mistakes.stop(*_place(event), f"more than {MAX_VALUES} values; that is no {mistakes.noun}")
    if event.tag is not None:
        mistakes.unread(*_place(event), f"tags ({_shown(event.tag, quote='')}) are not read; leave it out")


def _scalar(event: Any, mistakes: Mistakes) -> Scalar:
    line, column = _place(event)
    text: str = event.value
    if event.style:  # quoted, or a block: text whatever it says
        if unseen := _UNSEEN.search(text):
            mistakes.unread(line, column, f"character U+{ord(unseen[0]):04X} can't be seen; leave it out")
        return Scalar(text, line, column)
    if text in _WORDS:
        return Scalar(_WORDS[text], line, column)
    if _INTEGER.fullmatch(text) and len(text) <= 18:
        return Scalar(int(text), line, column)
    if _FLOAT.fullmatch(text) and len(text) <= 18 and abs(float(text)) < float("inf"):
        return Scalar(float(text), line, column)
    if _BOOLEAN_OF_1_1.fullmatch(text):
        mistakes.unread(line, column, f"{text} is true or false to some YAML parsers and text to others; quote it, or write true or false")
    elif _NUMBER_OF_ONE_VERSION.fullmatch(text) or _INTEGER.fullmatch(text) or _FLOAT.fullmatch(text):
        mistakes.unread(line, column, f"{printable(text, 40)} is not the same number to all YAML parsers; quote it, or write a plain number")
    return Scalar(text, line, column)


def _shown(name: str, quote: str = "'") -> str:
    return f"{quote}{printable(name, 80)}{quote}"
