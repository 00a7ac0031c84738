"""What goes to stdout and stderr, and how: colour only on a terminal, ASCII where the terminal knows no more."""

from __future__ import annotations

import codecs
import os
import re
import shutil
import sys
import textwrap
from io import TextIOWrapper
from typing import TextIO

from irkit.errors import IrkitError
from irkit.text import hidden, printable

_ASCII = str.maketrans({"→": "->", "←": "<-", "…": "...", "×": "x", "·": "-", "–": "-", "—": "-"})  # fmt: skip
_COPIED = ("next:", "$ ", "export ", "evidence ")  # how lines begin that people copy from
_UNITS = re.compile(r"\b(\d+) (?=(?:d|h|min|s|B|kB|MB|GB|TB)\b)")
_COLOURS = {"red": "31", "green": "32", "yellow": "33", "bold": "1", "dim": "2"}


class Out:
    """One stream, with its manners."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.terminal = stream.isatty()
        self.colour = self.terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        self.redraws = self.terminal and os.environ.get("TERM") != "dumb"
        self.ascii = not _unicode(stream)
        self.width = max(40, shutil.get_terminal_size((100, 24)).columns) if self.terminal else 100

    def line(self, text: str = "", *, style: str = "", hang: int = 0, whole: bool = False) -> None:
        """One line, wrapped at the terminal's width with ``hang`` columns before what follows; what is copied stays ``whole``.

        Names were escaped where they were put into the text; whatever slipped through is escaped here.
        """
        text = "\n".join(printable(part, 1_000_000) for part in text.split("\n"))
        if self.terminal and len(text) > self.width and not (whole or text.lstrip().startswith(_COPIED)):
            text = _UNITS.sub("\\1\u00a0", text)  # a number stays with its unit
            under = " " * (hang or len(text) - len(text.lstrip()) + 2)
            text = textwrap.fill(text, self.width, subsequent_indent=under, break_long_words=False, break_on_hyphens=False, replace_whitespace=False)
        print(self.styled(self.plain(text), style), file=self.stream, flush=True)

    def plain(self, text: str) -> str:
        text = text.replace("\u00a0", " ")
        if not self.ascii:
            return text
        return text.translate(_ASCII).encode("ascii", "replace").decode()

    def styled(self, text: str, style: str) -> str:
        return f"\x1b[{_COLOURS[style]}m{text}\x1b[0m" if style and self.colour else text


def _unicode(stream: TextIO) -> bool:
    return (stream.encoding or "ascii").lower().replace("-", "") in ("utf8", "utf16")


def prepare() -> None:
    """Have both streams take any text: ASCII in the C locale, where Python itself would write UTF-8 (PEP 538, PEP 540)."""
    own = os.environ.get("LC_CTYPE", "")
    own = "" if own in ("C.UTF-8", "C.utf8", "UTF-8") else own  # Python puts these there itself
    plain = (os.environ.get("LC_ALL") or own or os.environ.get("LANG")) in ("C", "POSIX")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            if plain or not _unicode(stream):
                codecs.register_error("irkit", _nearest_ascii)
                stream.reconfigure(encoding="ascii", errors="irkit")
            else:
                stream.reconfigure(errors="backslashreplace")


def _nearest_ascii(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    bad = error.object[error.start : error.end]
    return bad.translate(_ASCII).encode("ascii", "replace").decode(), error.end


def stderr() -> Out:
    return Out(sys.stderr)


def stdout() -> Out:
    return Out(sys.stdout)


def wants_json(words: list[str]) -> bool:
    """Whether the command line asks for a document, however it goes wrong."""
    pairs = zip(words, [*words[1:], ""], strict=True)
    return any((w in ("-o", "--output") and n == "json") or w in ("-ojson", "-o=json", "--output=json") for w, n in pairs)


def error(failure: IrkitError, words: list[str], out: Out | None = None) -> int:
    """Say what can't be done and what to do next, on stderr unless told otherwise; returns the exit code."""
    if wants_json(words):
        from irkit.engine.result import failed

        document(failed(failure, words[0] if words else ""))
        return failure.exit_code
    out = out or stderr()
    first, *rest = failure.message.split("\n")
    out.line(f"{failure.exit_code}: {first}", style="red" if failure.exit_code not in (3, 130) else "yellow", hang=3)
    for line in rest:
        out.line(f"   {line}")
    first, *rest = (failure.next or failure.otherwise).split("\n")
    out.line(f"   next:   {first}")
    for line in rest:
        out.line(f"           {line}", whole=True)
    return failure.exit_code


def document(value: object) -> None:
    """One JSON document on stdout. What a terminal could act upon is escaped, as JSON allows: the strings stay the same."""
    import msgspec

    text = msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
    if not text.isascii() or "\x7f" in text:
        ascii_only = stdout().ascii
        text = "".join(_escaped(c) if c != "\n" and (hidden(c) or (ascii_only and not c.isascii())) else c for c in text)
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _escaped(character: str) -> str:
    pairs = character.encode("utf-16-be")
    return "".join(f"\\u{pairs[n]:02x}{pairs[n + 1]:02x}" for n in range(0, len(pairs), 2))


def table(out: Out, heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    """Columns, as wide as what is in them; what comes from a cluster is escaped."""
    safe = [tuple(printable(cell, 200) for cell in row) for row in rows]
    widths = [max(len(row[n]) for row in [heads, *safe]) for n in range(len(heads))]
    for number, row in enumerate([heads, *safe]):
        text = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        out.line(f"  {text}", style="" if number else "bold", hang=4)
