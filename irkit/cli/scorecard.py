"""A scorecard on the terminal, and as a page."""

from __future__ import annotations

import os
from pathlib import Path

from irkit.cli import output as streams
from irkit.cli.output import Out
from irkit.errors import UsageError
from irkit.game import page
from irkit.game.card import Finding, Scorecard
from irkit.game.page import clock
from irkit.text import printable

__all__ = ["check", "clock", "save", "show", "tell"]


def show(card: Scorecard, output: str, file: Path | None = None) -> None:
    """The card, as text or JSON, and in ``file`` as HTML. Raises UsageError where that can't be written; as text it was told by then."""
    if output != "json":
        tell(streams.stdout(), card)
    if file is not None:
        save(card, file)
    if output == "json":
        streams.document(card)


def check(file: Path | None) -> None:
    """Raises UsageError now, and not when the game is over, where no page can be written there."""
    if file is None:
        return
    place = file.expanduser().absolute()
    if place.is_dir() or not os.access(place if place.exists() else place.parent, os.W_OK):
        raise UsageError(f"the card can't be written to {printable(file, 1000)}: no file can be made there", next="--html FILE, where one can")


def save(card: Scorecard, file: Path) -> None:
    """The page alone. Raises UsageError where it can't be written."""
    try:
        file.write_text(page.html(card), "utf-8")
    except OSError as error:
        raise UsageError(f"the card can't be written to {printable(file, 1000)}: {error.strerror}") from None


def tell(out: Out, card: Scorecard) -> None:
    """The card as text."""
    out.line(f"{printable(card.title, 200)}, seed {card.seed}: {card.score} of 100 points", style="bold")
    _times(out, card)
    for leak in card.leaks:
        out.line(f"  got out    {printable(leak['what'])}, {clock(float(leak['from']))} to {clock(float(leak['to']))}", hang=13)
    for pod in card.evidence.get("destroyed", ()):
        out.line(f"  lost       {printable(pod['pod'])} ended at {clock(pod['when'])}, before anybody had read its logs and events", hang=13)
    for name in card.evidence.get("missed", ()):
        out.line(f"  not read   {printable(name)}: its logs and events", hang=13)
    for pod in card.collateral.get("pods", ()):
        out.line(f"  hit        {printable(pod['pod'])}, healthy, ended at {clock(pod['when'])}{_by(pod['by'])}", hang=13)
    for outage in card.collateral.get("outages", ()):
        until = "the end" if outage["to"] is None else clock(outage["to"])
        what = f"{printable(outage['service'])}{' (its own Service)' if outage['own'] else ''}"
        out.line(f"  outage     {what} had no endpoint from {clock(outage['from'])} to {until}, {outage['minutes']:.1f} min", hang=13)
    for finding in card.findings:
        _finding(out, finding)
    out.line(f"  next:      irkit rehearse --scenario {printable(card.scenario)} --seed {card.seed + 1}")


def _times(out: Out, card: Scorecard) -> None:
    own = card.compared
    if own is None:
        out.line(f"  times      {', '.join(f'{name} {clock(t)}' for name, t in card.times.items())}", hang=13)
        return
    out.line(f"             {'you':>7}  {own['player']:>7}")
    out.line(f"  points     {card.score:>7}  {own['score']:>7}")
    for name, when in card.times.items():
        out.line(f"  {name:<10} {clock(when):>7}  {clock(own['times'].get(name)):>7}")


def _finding(out: Out, finding: Finding) -> None:
    out.line(f"  {clock(finding.when):<9}  {printable(finding.what, 300)}", hang=13)
    if finding.by:
        out.line(f"             by {printable(finding.by, 300)}", hang=13)
    out.line(f"             {printable(finding.why, 400)}", hang=13)
    if finding.runbook:
        out.line(f"             runbook: {printable(finding.runbook, 200)}", hang=13)
    if finding.better:
        out.line(f"             better:  {printable(finding.better, 300)}", hang=22)


def _by(cause: str) -> str:
    return f", by {printable(cause, 200)}" if cause else ""
