"""Reading the manifests and tag files of a bag that somebody else may have made, or changed.

RFC 8493. Everything is bounded and nothing outside of the bag is ever opened: a manifest names files, and a hostile one
names what the reader should not touch.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from irkit.text import printable

_LINE = re.compile(r"([0-9A-Fa-f]+)[ \t]+\*?(\S.*)")
_LONGEST_LINE = 16_384  # bytes: a path of the longest kind, every byte of it escaped
_MOST_ENTRIES = 1_000_000


class Unusable(ValueError):
    """A tag file that can't be read as what it should be; the message is for people."""


def open_regular(path: Path) -> BinaryIO:
    """A regular file of the bag. Raises Unusable where it is a link, a pipe or a device, OSError where it is not there."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise Unusable("not a regular file")
    return os.fdopen(descriptor, "rb")


def lines_of(path: Path) -> Iterator[str]:
    """The lines of a UTF-8 tag file, read one by one. Raises Unusable, OSError."""
    with open_regular(path) as stream:
        while raw := stream.readline(_LONGEST_LINE + 1):
            if len(raw) > _LONGEST_LINE:
                raise Unusable("a line is too long")
            try:
                yield raw.decode("utf-8").rstrip("\r\n")
            except UnicodeDecodeError:
                raise Unusable("not UTF-8") from None


def read_manifest(path: Path, length: int) -> dict[str, str]:
    """Path → checksum of ``length`` hex digits. Raises Unusable at the first line that is none, OSError."""
    entries: dict[str, str] = {}
    for number, line in enumerate(lines_of(path), 1):
        if not line.strip():
            continue
        if not (found := _LINE.fullmatch(line)) or len(found.group(1)) != length:
            raise Unusable(f"line {number} is not a checksum and a path")
        name = decoded(found.group(2))
        if why := unsafe(name):
            raise Unusable(f"line {number} names a path that {why}: {printable(name)}")
        if name in entries:
            raise Unusable(f"line {number} names {printable(name)} again")
        if len(entries) >= _MOST_ENTRIES:
            raise Unusable(f"more than {_MOST_ENTRIES} entries")
        entries[name] = found.group(1).lower()
    return entries


def decoded(name: str) -> str:
    """A path as it is on disk: CR, LF and ``%`` are percent-encoded in manifests, and nothing else is (RFC 8493 §2.1.3)."""
    return re.sub("%(0[Aa]|0[Dd]|25)", lambda found: chr(int(found.group(1), 16)), name.removeprefix("./"))


def unsafe(name: str) -> str:
    """Why a path of a manifest must not be opened; empty where it may."""
    if name.startswith(("/", "~", "\\")) or re.match("[A-Za-z]:", name):
        return "is absolute"
    parts = name.split("/")
    if ".." in parts:
        return "leaves the bag"
    if "" in parts or "." in parts:
        return "is not in its plain form"
    return "holds a NUL" if "\0" in name else ""


def read_info(path: Path) -> list[tuple[str, str]]:
    """Labels and values of ``bag-info.txt`` in order; a line that begins with a space goes on. Raises Unusable, OSError."""
    found: list[tuple[str, str]] = []
    for line in lines_of(path):
        if line[:1] in (" ", "\t") and found:
            found[-1] = (found[-1][0], f"{found[-1][1]} {line.strip()}")
        elif line.strip():
            label, colon, value = line.partition(":")
            if not colon:
                raise Unusable(f"no label in {printable(line, 80)!r}")
            found.append((label.strip(), value.strip()))
        if len(found) > 10_000:
            raise Unusable("more than 10,000 lines")
    return found
