"""A change in one line, for people."""

from __future__ import annotations

import msgspec

from irkit.model.changes import Ask, Await, Capture, Change, Check, Create, Delete, Notify, Patch, Rotate, images
from irkit.model.edits import ABSENT, FieldValue, Present
from irkit.text import printable


def title(change: Change) -> str:
    """One line, safe for a terminal."""
    match change:
        case Create():
            return f"create  {change.ref}"
        case Patch():
            return f"{change.action:<7} {change.ref}  {_diff(change)}"
        case Delete():
            return f"delete  {change.ref}"
        case Rotate():
            keys = f": {', '.join(change.credential.keys)}" if change.credential.keys else ""
            return printable(
                f"{'rotate' if change.stage == 'renew' else 'retire'}  {change.ref}{keys} ({change.credential.cls}, by {change.rotator})", 400
            )
        case Capture():
            return f"collect {change.pod}: {', '.join(change.take)}"
        case Await():
            return f"await   {change.ref} {change.condition}"
        case Check():
            return f"check   {change.name} of {change.ref}"
        case Notify():
            return f"notify  {printable(', '.join(change.to))}"
        case Ask():
            return f"ask     {printable(change.instruction, 400)}"


def _diff(patch: Patch) -> str:
    if patch.action == "scale":
        (edit,) = patch.edits
        return f"{_shown(edit.before)} → {_shown(edit.after)}"
    if patch.action == "restart":
        return ""
    if patch.action == "redeploy":
        return printable("; ".join(f"{name}: {old} → {new}" for name, old, new in images(patch)), 600)
    if patch.action == "relabel":
        labels = [e for e in patch.edits if e.path[:2] == ("metadata", "labels")]
        gone = [f"-{e.path[-1]}" for e in labels if e.after == ABSENT]
        come = [f"+{e.path[-1]}={_shown(e.after)}" for e in labels if e.after != ABSENT]
        return printable(" ".join([*gone, *come]), 400)
    return printable("; ".join(f"{'.'.join(e.path)}: {_shown(e.before)} → {_shown(e.after)}" for e in patch.edits), 400)


def _shown(value: FieldValue) -> str:
    if not isinstance(value, Present):
        return "(none)"
    return printable(value.value if isinstance(value.value, str) else msgspec.json.encode(value.value).decode(), 80)
