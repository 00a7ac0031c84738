"""Block Kit: the few blocks that irkit uses, each within Slack's documented limits (docs.slack.dev/reference/block-kit/blocks)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from irkit.listeners.slack.escape import visible
from irkit.model.kube import Obj

_SECTION, _CONTEXT, _MESSAGE, _VIEW = 3000, 2000, 50, 100


def plain(text: str, limit: int = _SECTION) -> Obj:
    """A text object without markup."""
    return {"type": "plain_text", "text": visible(text, limit) or "-", "emoji": False}


def marked(text: str) -> Obj:
    """A text object with markup. ``text``: our words, and what `escape` made of others'. Nothing in it becomes a link by itself."""
    return {"type": "mrkdwn", "text": text[:_SECTION], "verbatim": True}


def said(text: str) -> list[Obj]:
    """A stranger's words, as many blocks as they need, at most three."""
    lines, parts = visible(text, 3 * (_SECTION - 200)).split("\n"), [""]
    for line in lines:
        if parts[-1] and len(parts[-1]) + len(line) + 1 > _SECTION:
            parts.append("")
        parts[-1] += ("\n" if parts[-1] else "") + line
    return [{"type": "section", "text": plain(part)} for part in parts[:4] if part.strip()]


def listed(lines: Sequence[str], rest: str) -> list[Obj]:
    """Lines of strangers, whole ones, as many as fit; of the others how many there are, and ``rest``: where to see them."""
    shown: list[str] = []
    room = 3 * (_SECTION - 200) - 200
    for number, line in enumerate(lines):
        room -= len(visible(line)) + 1
        if room < 0:
            shown.append(f"and {len(lines) - number} more: {rest}")
            break
        shown.append(line)
    return said("\n".join(shown))


def section(text: str) -> Obj:
    return {"type": "section", "text": marked(text)}


def header(text: str) -> Obj:
    return {"type": "header", "text": plain(text, 150)}


def context(*texts: str) -> Obj:
    """Small print, with markup."""
    return {"type": "context", "elements": [marked(text[:_CONTEXT]) for text in texts[:10]]}


def button(text: str, action: str, value: str, *, style: str, ask: tuple[str, str]) -> Obj:
    """``ask``: the title and the question of its confirm dialog."""
    confirm = {"title": plain(ask[0], 100), "text": plain(ask[1], 300), "confirm": plain(text, 30), "deny": plain("Back", 30), "style": style}
    return {"type": "button", "action_id": action, "text": plain(text, 75), "value": value, "style": style, "confirm": confirm}


def actions(identifier: str, buttons: Sequence[Obj]) -> Obj:
    return {"type": "actions", "block_id": identifier, "elements": list(buttons)}


def message(blocks: Iterable[Obj]) -> list[Obj]:
    """What fits into one message."""
    found = list(blocks)
    return found if len(found) <= _MESSAGE else [*found[: _MESSAGE - 1], *said("… and more: irkit order show")]


def view(blocks: Iterable[Obj]) -> list[Obj]:
    return list(blocks)[:_VIEW]


def note(text: str) -> tuple[str, list[Obj]]:
    """A short message: what notifications show of it, and its blocks. A stranger's words are only in the blocks."""
    return "irkit answered", said(text)
