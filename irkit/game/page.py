"""The scorecard as one HTML page that needs nothing else: no script, no image, no request.

All text is escaped here, and a Content-Security-Policy allows nothing but the page's own style sheet, by its hash.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from typing import Any

from irkit.game.card import SOLVED, Finding, Scorecard
from irkit.text import plural, printable

_STYLE = """
:root { color-scheme: light dark; --ink: #1c1c1e; --paper: #fff; --faint: #5f6368; --line: #d8dadf; --good: #146c2e; --bad: #a8200d; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8e8ea; --paper: #16181c; --faint: #a2a8b0; --line: #3a3e46; } }
@media (prefers-color-scheme: dark) { :root { --good: #6fd08c; --bad: #ff8f7d; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 60rem; font: 1rem/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; margin: 0; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
.score { font-size: 3rem; font-weight: 600; margin: .5rem 0 0; line-height: 1; }
.score small { font-size: 1rem; font-weight: 400; color: var(--faint); }
.good { color: var(--good); } .bad { color: var(--bad); } .faint { color: var(--faint); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; } th, td { text-align: left; vertical-align: top; padding: .35rem .75rem .35rem 0;
  border-bottom: 1px solid var(--line); } th { font-weight: 600; color: var(--faint); } td.n, th.n { text-align: right; white-space: nowrap; }
ol { list-style: none; margin: 0; padding: 0; } li { padding: .75rem 0; border-bottom: 1px solid var(--line); } li p { margin: .15rem 0; }
code { font: .9em/1.5 ui-monospace, monospace; } time { font-variant-numeric: tabular-nums; font-weight: 600; }
blockquote { margin: .25rem 0; padding-left: .75rem; border-left: 3px solid var(--line); color: var(--faint); }
"""
_POOR = 50


def clock(seconds: float | None) -> str:
    """Minutes and seconds since the alert; *never* where there is no time."""
    return "never" if seconds is None else f"{int(seconds) // 60:02d}:{int(seconds) % 60:02d}"


def html(card: Scorecard) -> str:
    """The page."""
    allowed = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    title = f"{card.title or card.scenario}: {card.score} of 100"
    policy = f"default-src 'none'; style-src 'sha256-{allowed}'; base-uri 'none'; form-action 'none'"
    head = ('<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
            f"<title>{_(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n")  # fmt: skip
    return head + "\n".join(_body(card)) + "\n</body>\n</html>\n"


def _body(card: Scorecard) -> Iterator[str]:
    grade = "good" if card.score >= SOLVED else "bad" if card.score < _POOR else ""
    who = f" · {card.player}" if card.player else ""
    team = f" of {card.team}" if card.team else ""
    yield f"<h1>{_(card.title or card.scenario)}</h1>"
    yield f'<p class="faint">{_(f"{card.scenario}, seed {card.seed}{who}{team}, {clock(card.lasted)} played")}</p>'
    yield f'<p class="score {grade}">{card.score} <small>of 100 points</small></p>'
    yield from _times(card)
    yield from _findings(card.findings)
    yield from _table("What the attacker got through with", ("what", "from", "to", "for"), (
        (leak["what"], clock(float(leak["from"])), clock(float(leak["to"])), _length(float(leak["seconds"]))) for leak in card.leaks))  # fmt: skip
    yield from _table("What the policies let the suspect do", ("what", "from", "to", "for"), (
        (each["what"], clock(each["from"]), _end(each["to"]), _length(each["seconds"])) for each in card.open))  # fmt: skip
    yield from _table("Evidence that was destroyed", ("pod", "when", "by"), (
        (each["pod"], clock(each["when"]), each["by"] or "not known") for each in card.evidence.get("destroyed", ())))  # fmt: skip
    yield from _table("Evidence that was not taken", ("pod",), ((pod,) for pod in card.evidence.get("missed", ())))
    yield from _table("Not rotated", ("what", "why"), ((each["goal"], each["why"]) for each in card.unrotated))
    yield from _table("Healthy pods of others that ended", ("pod", "when", "by"), (
        (each["pod"], clock(each["when"]), each["by"] or "not known") for each in card.collateral.get("pods", ())))  # fmt: skip
    yield from _table("Services without an endpoint", ("service", "from", "to", "minutes"), (
        (f"{each['service']}{' (its own)' if each['own'] else ''}", clock(each["from"]), _end(each["to"]), f"{each['minutes']:.1f}")
        for each in card.collateral.get("outages", ())))  # fmt: skip
    yield from _table("Wrong turns", ("when", "goal", "request"), (
        (clock(each["when"]), each["goal"], f"{each['who']}: {each['verb']} {each['object']}") for each in card.wrong_turns))  # fmt: skip


def _times(card: Scorecard) -> Iterator[str]:
    own = card.compared
    header = ("", "here", *((f"{own['player']}, {own['score']} points",) if own else ()))
    rows = [(name, clock(when), *((clock(own["times"].get(name)),) if own else ())) for name, when in card.times.items()]
    yield from _table("Times after the alert", header, rows)


def _findings(findings: Sequence[Finding]) -> Iterator[str]:
    if not findings:
        yield '<p class="good">Nothing that could have gone better.</p>'
        return
    yield f"<h2>{plural(len(findings), 'finding')}</h2>\n<ol>"
    for one in findings:
        yield f"<li><p><time>{clock(one.when)}</time> {_(one.what)}</p>"
        if one.by:
            yield f'<p class="bad">{_(one.by)}</p>'
        yield f"<p>{_(one.why)}</p>"
        if one.runbook:
            yield f'<p class="faint">runbook: {_(one.runbook)}</p>'
        if one.says:
            yield f"<blockquote>{_(one.says)}</blockquote>"
        if one.better:
            yield f"<p>better: <code>{_(one.better)}</code></p>"
        yield "</li>"
    yield "</ol>"


def _table(title: str, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    lines = ["<tr>" + "".join(f"<td>{_(cell)}</td>" for cell in row) + "</tr>" for row in rows]
    if lines:
        yield f'<h2>{_(title)}</h2>\n<div class="wide"><table>'
        yield "<tr>" + "".join(f"<th>{_(name)}</th>" for name in header) + "</tr>"
        yield from lines
        yield "</table></div>"


def _length(seconds: float) -> str:
    return f"{seconds / 60:.1f} min" if seconds >= 60 else f"{seconds:.0f} s"


def _end(seconds: float | None) -> str:
    return "the end" if seconds is None else clock(seconds)


def _(text: object) -> str:
    return escape(printable(text, 2000))
