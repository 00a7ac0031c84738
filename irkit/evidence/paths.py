"""File names in a bag, made of parts that strangers chose.

A part keeps lower-case letters, digits, ``_``, ``-`` and inner dots; every other byte of its UTF-8 becomes ``=XX``. Not
``%XX``: RFC 8493 §2.1.3 wants a percent sign in a manifest encoded once more, and the public ``bagit`` package does not
decode that, so a name with ``%`` could not be verified by everybody. Upper-case letters are escaped too, so that two
names differ on file systems that ignore case.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

from irkit.errors import EvidenceError

INCOMPLETE = ".incomplete"
_LONGEST = 200  # bytes of one part; file systems take 255, and suffixes follow
_UNSAFE = re.compile(rb"[^a-z0-9._-]")


def escaped(part: str) -> str:
    """One path part: never empty, ``.`` or ``..``, no separator, no leading dot, at most 200 bytes; different parts differ.

    What is longer is cut and ends in ``=~`` and 32 hex digits of its SHA-256.
    """
    raw = part.encode("utf-8", "surrogatepass")
    name = _UNSAFE.sub(lambda found: b"=%02X" % found.group()[0], raw).decode("ascii")
    if name.startswith("."):
        name = "=2E" + name[1:]
    if name.endswith(INCOMPLETE):  # the suffix of what was not got whole
        name = name[: -len(INCOMPLETE)] + "=2E" + INCOMPLETE[1:]
    if len(name) > _LONGEST:
        return f"{name[:160]}=~{hashlib.sha256(raw).hexdigest()[:32]}"
    return name or "="


def unescaped(name: str) -> str:
    """The part that `escaped` made ``name`` of; a shortened one as it is."""
    if "=~" in name:
        return name
    raw = re.sub(rb"=([0-9A-F]{2})", lambda found: bytes([int(found.group(1), 16)]), b"" if name == "=" else name.encode())
    return raw.decode("utf-8", "surrogatepass")


def payload_path(parts: Sequence[str]) -> str:
    """The path below ``data/``. Raises EvidenceError where there is no part or far too many."""
    path = "/".join(escaped(part) for part in parts)
    if not parts or len(path) > 2000:
        raise EvidenceError(f"a path of {len(parts)} parts can't be kept in a bag")
    return path
