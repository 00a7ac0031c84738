"""The documents of commands that only read, as a few lines for a chat: names and reasons, never a value."""

from __future__ import annotations

from typing import Any

import msgspec

from irkit.errors import UnreachableError
from irkit.text import plural, printable

PATIENCE = {"blast-radius": 60.0, "verify": 60.0, "rehearse": 120.0}  # seconds
_MOST = 25  # credentials, leaks, checks


def told(word: str, document: bytes) -> str:
    """Raises UnreachableError for what is no document of irkit's."""
    try:
        found = msgspec.json.decode(document)
        if error := found.get("error"):
            return f"{error['code']}: {error['message']}\nnext: {error['next']}"
        if word == "blast-radius":
            return _radius(found)
        return _verified(found) if word == "verify" else _rehearsed(found)
    except (msgspec.DecodeError, KeyError, TypeError, AttributeError) as error:
        raise UnreachableError(f"irkit {word} gave no answer ({type(error).__name__})", next=f"irkit {word}, at a terminal") from None


def _radius(found: dict[str, Any]) -> str:
    target, credentials = found["target"], found["credentials"]
    lines = [f"{_name(target)}: {plural(len(credentials), 'credential')} could be reached"]
    for one in credentials[:_MOST]:
        keys = f" ({', '.join(one['keys'][:10])})" if one["keys"] else ""
        lines.append(_line(f"{one['kind']} {one['namespace']}/{one['name']}{keys}, {one['class']}"))
        lines += [_line(f"    {r['how']}: {r['path']}") for r in one["reasons"][:2]]
    lines += _more(len(credentials))
    lines += [_line(f"not known: {m['what']}: {m['why']}") for m in found["missing"][:10]]
    return "\n".join([*lines, f"next: {found['next']}"])


def _verified(found: dict[str, Any]) -> str:
    isolation = found.get("isolation") or {}
    lines = [f"{_name(found['target'] or {})}: {'holds' if found['exitCode'] == 0 else 'does not hold'} (exit code {found['exitCode']})"]
    if isolation:
        lines.append(f"isolation: {isolation['verdict']}, enforcement {isolation['enforcement']}")
        leaks = isolation.get("leaks") or []
        lines += [_line(f"    {k['direction']}: {k['policy'] or 'no policy covers it'}: {k['peer']}, {k['ports']}") for k in leaks[:_MOST]]
        lines += _more(len(leaks))
    words = {True: "holds", False: "does not hold", None: "not known"}
    lines += [_line(f"{c['check']}: {words[c['holds']]}: {c['summary']}") for c in (found.get("checks") or [])[:_MOST]]
    return "\n".join([*lines, f"next: {found['next']}"])


def _rehearsed(found: dict[str, Any]) -> str:
    isolation, evidence = found.get("isolation") or {}, found.get("evidence") or {}
    lines = [f"A containment was played in irkit's own cluster: {found['outcome']}, exit code {found['exitCode']}."]
    if isolation:
        lines.append(f"isolation: {isolation['verdict']}, enforcement {isolation['enforcement']}")
    if evidence:
        lines.append(f"evidence: {plural(int(evidence['artefacts']), 'artefact')}, {plural(len(evidence['missing']), 'gap')}")
    lines += [_line(f"step {s['id']}: {s['outcome']}") for s in (found.get("steps") or [])[:_MOST]]
    return "\n".join([*lines, "next: irkit rehearse, at a terminal: you play"])


def _name(target: dict[str, Any]) -> str:
    return _line(f"{target.get('kind', '')} {target.get('namespace', '')}/{target.get('name', '')}".strip(" /"))


def _line(text: str) -> str:
    return printable(text, 300)


def _more(count: int) -> list[str]:
    return [f"and {count - _MOST} more"] if count > _MOST else []
