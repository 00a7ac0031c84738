"""Text that came from a cluster, made safe to show to a person.

Whoever writes names, labels, logs and events may be the attacker. Nothing of
theirs reaches a terminal before it passed ``printable``.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator

_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}  # controls, bidi marks, surrogates, private use, line separators


def printable(value: object, limit: int = 256) -> str:
    """``value`` on one line: control and format characters escaped, cut to ``limit`` characters."""
    text = value if isinstance(value, str) else str(value)
    cut = text[:limit]
    if not (cut.isascii() and cut.isprintable()):
        cut = "".join(_escaped(c) if hidden(c) else c for c in cut)
    return cut if len(text) <= limit else f"{cut}… ({len(text)} characters)"


def hidden(character: str) -> bool:
    """Whether a terminal acts upon it, or a reader does not see it."""
    return unicodedata.category(character) in _HIDDEN


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode() if ord(character) < 0x10000 else f"\\U{ord(character):08x}"


def nearest(word: str, known: Iterable[str], count: int = 1) -> list[str]:
    """The names most like ``word``, best first; none where nothing is near."""
    import difflib  # 3 ms that only a mistake has to pay

    return difflib.get_close_matches(word[:300], list(known), n=count, cutoff=0.5)


def plural(count: int, noun: str) -> str:
    """``1 pod``, ``2 pods``, ``2 policies``."""
    if count == 1:
        return f"1 {noun}"
    return f"{count} {noun[:-1]}ies" if noun.endswith("y") and noun[-2] not in "aeiou" else f"{count} {noun}s"


def size(count: float) -> str:
    """A number of bytes for people: ``812 B``, ``3.1 MB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def texts(value: object) -> Iterator[str]:
    """Every text among the values of a JSON document, however deep."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from texts(item)
