"""What a runbook says at one of its steps."""

from __future__ import annotations

import re
from functools import lru_cache

from irkit.engine import library
from irkit.text import printable

_LIMIT = 320


@lru_cache(maxsize=64)
def said(reference: str) -> str:
    """The first paragraph of a step of a built-in runbook, ``page.md#step``; empty where there is none."""
    page, _, step = reference.partition("#")
    if not re.fullmatch(r"[a-z0-9-]+\.md", page):
        return ""
    try:
        text = (library.builtin("runbooks") / page).read_text("utf-8")
    except OSError:
        return ""
    found = re.search(rf"^#+ {re.escape(step)}\s*$\n(.*?)(?=^#+ |\Z)", text, re.MULTILINE | re.DOTALL)
    paragraphs = re.split(r"\n\s*\n", found[1].strip()) if found else []
    words = next((p for p in paragraphs if not p.startswith(("```", "|", "-", "1."))), "")
    plain = re.sub(r"\[([^]]*)]\([^)]*\)", r"\1", words)
    return printable(re.sub(r"[*`]+", "", " ".join(plain.split())), _LIMIT)
