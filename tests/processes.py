"""Processes of this machine; a node's are seen from outside of it, too."""

from __future__ import annotations

from pathlib import Path


def running(*words: str) -> list[int]:
    """Those that have these words in a row on their command line."""
    found, wanted = [], "\0".join(("", *words, "")).encode()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found += [int(path.parent.name)] if wanted in path.read_bytes() else []
        except OSError:
            continue
    return found
