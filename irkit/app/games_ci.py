"""Rehearsals in CI: each playbook in every scenario that fits it, and what came of them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from irkit import API_VERSION
from irkit.app.gameday import SOLVED
from irkit.engine import library
from irkit.errors import PlaybookError, UsageError
from irkit.game import junit, loader
from irkit.game.card import Finding
from irkit.game.goals.rotated import Rotated
from irkit.model.playbook import Playbook
from irkit.model.scenario import Scenario
from irkit.settings import Settings
from irkit.text import plural, printable

PART = "it is there only for a part of the answer"
_TARGETS = {"pod": "${suspect}", "workload": "${workload}", "serviceaccount": "serviceaccount/${account}", "node": "node/${node}",
            "namespace": "${namespace}"}  # fmt: skip
"""What the command names, by the type of a playbook's target; a Secret is the scenario's own."""


class Round(msgspec.Struct, frozen=True):
    """One playbook in one scenario, to be played. ``path``: of the scenario; ``commands``: what is typed; ``why``: it can't be played.

    ``folder``: of the user's playbooks. ``part``: the scenario names a better one, and this one for a part of the answer.
    """

    playbook: str
    scenario: str
    path: str
    commands: tuple[str, ...] = ()
    why: str = ""
    folder: str = ""
    part: bool = False


class Verdict(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one round came to. ``score`` is None where it was not played to its end; ``error`` or ``skipped`` says why. ``seconds``: real ones."""

    playbook: str
    scenario: str
    score: int | None
    seconds: float = 0.0
    findings: tuple[Finding, ...] = ()
    said: tuple[str, ...] = ()  # by commands that ended with another code than 0
    error: str = ""
    skipped: str = ""
    part: bool = False

    @property
    def passed(self) -> bool:
        return bool(self.skipped) or (self.score is not None and (self.part or self.score >= SOLVED))


class Report(msgspec.Struct, kw_only=True, rename="camel"):
    """The document of ``irkit rehearse --ci -o json``. ``solved``: the score from which a round is passed."""

    api_version: str = API_VERSION
    kind: str = "RehearsalReport"
    passed: bool
    solved: int = SOLVED
    seconds: float
    rounds: Sequence[Verdict]


def playbooks(settings: Settings) -> list[library.Entry]:
    """The user's own, where there is a directory of them, else the built-in ones. Raises UsageError where that is empty."""
    own = settings.playbooks is not None
    found = [entry for entry in library.list_all(settings) if entry.builtin is not own]
    if not found:
        raise UsageError(f"there are no playbooks in {printable(settings.playbooks)}", next="irkit playbook list")
    return found


def scenarios(folders: Sequence[Path], only: str = "") -> Iterator[tuple[str, Scenario | PlaybookError]]:
    """All scenarios by name, or ``only`` that one; those with mistakes as what is wrong with them. Raises UsageError."""
    if only:
        loader.find(only, folders)
    for name, path in sorted(({Path(only).stem: Path(only)} if only.endswith((".yaml", ".yml")) else loader.listed(folders)).items()):
        if only in ("", name, str(path)):
            try:
                yield name, loader.load(path)
            except PlaybookError as error:
                yield name, error


def rounds(entries: Sequence[library.Entry], found: Sequence[Scenario], settings: Settings) -> list[Round]:
    """Who plays where: a playbook in the scenarios that name it; one of the user's own also where its kind of target is under attack.

    Raises UsageError where nothing fits.
    """
    builtin = {e.name: e.playbook for e in library.list_all(msgspec.structs.replace(settings, playbooks=None)) if e.playbook}
    planned = []
    for entry in entries:
        assert entry.playbook is not None, "whoever has mistakes does not play"
        for scenario in found:
            kinds = {p.target.type for name in scenario.playbooks if (p := builtin.get(name)) and p.target}
            fits = not entry.builtin and entry.playbook.target is not None and entry.playbook.target.type in kinds
            if entry.name in scenario.playbooks or fits:
                planned.append(_round(entry, entry.playbook, scenario))
    if not planned:
        raise UsageError(f"no scenario fits {'this playbook' if len(entries) == 1 else 'any of these playbooks'}", next="irkit rehearse --list")
    return planned


def _round(entry: library.Entry, playbook: Playbook, scenario: Scenario) -> Round:
    first, own = entry.name == scenario.playbooks[0], any(c.startswith(f"irkit respond {entry.name} ") for c in scenario.best)
    commands, why = tuple(scenario.best), ""
    if not commands or not (first or own):
        words, why = _words(playbook, scenario)
        commands = () if why else (f"irkit respond {entry.name} {words} --yes",)
    return Round(playbook=entry.name, scenario=scenario.name, path=str(Path(scenario.path).absolute()), commands=commands, why=why,
                 folder="" if entry.builtin else str(entry.path.parent.absolute()), part=entry.name in scenario.playbooks and not first)  # fmt: skip


def _words(playbook: Playbook, scenario: Scenario) -> tuple[str, str]:
    """Target and parameters on the command line; or why they are not known."""
    kind = playbook.target.type if playbook.target else ""
    namespace, target = "${namespace}", _TARGETS.get(kind, "")
    if kind == "secret":
        secret = next((goal.state.secret for goal in scenario.goals if isinstance(goal.state, Rotated)), "")
        namespace, _, target = secret.partition("/")
    if not target:
        return "", f"the scenario names no {kind}" if kind else "the playbook has no target"
    words = [target, "-n", namespace]
    for parameter in playbook.parameters:
        if parameter.type == "image":
            words += ["-p", f"{parameter.name}=${{image}}"]
        elif parameter.required and parameter.default is None and parameter is not playbook.target:
            return "", f"no scenario knows its parameter {parameter.name!r}"
    return " ".join(words), ""


def suites(verdicts: Sequence[Verdict], mistakes: Sequence[tuple[str, str]] = ()) -> list[junit.Suite]:
    """One a playbook, in order; ``mistakes``: files by name that nobody could play."""
    names = list(dict.fromkeys(v.playbook for v in verdicts))
    found = [junit.Suite(name, [_case(v) for v in verdicts if v.playbook == name]) for name in names]
    wrong = [junit.Case(name, 0.0, "error", text.partition("\n")[0], text) for name, text in mistakes]
    return [*found, *([junit.Suite("malformed", wrong)] if wrong else [])]


def _case(verdict: Verdict) -> junit.Case:
    if verdict.skipped:
        return junit.Case(verdict.scenario, 0.0, "skipped", verdict.skipped)
    if verdict.score is None:
        return junit.Case(verdict.scenario, verdict.seconds, "error", verdict.error, "\n".join((verdict.error, *verdict.said)))
    short = f"{verdict.score} of 100 points, {SOLVED} are asked for"
    if verdict.passed:
        part = verdict.part and verdict.score < SOLVED
        return junit.Case(verdict.scenario, verdict.seconds, "skipped" if part else "passed", f"{short}; {PART}" if part else "")
    return junit.Case(verdict.scenario, verdict.seconds, "failure", f"{short}: {'; '.join(f.what for f in verdict.findings)}",
                      "\n".join((short, *told(verdict))))  # fmt: skip


def told(verdict: Verdict) -> Iterator[str]:
    """What could have been better, line by line."""
    for finding in verdict.findings:
        yield f"{f'after {finding.when:.0f} s' if finding.when is not None else 'never'}: {printable(finding.what, 300)}"
        yield f"  {printable(finding.why, 400)}"
        if finding.runbook:
            yield f"  runbook: {printable(finding.runbook)}"
        if finding.better:
            yield f"  better: {printable(finding.better, 300)}"
    yield from verdict.said


def summary(verdicts: Sequence[Verdict], seconds: float) -> str:
    """One sentence on all rounds."""
    played = [v for v in verdicts if not v.skipped]
    below, parts = sum(not v.passed for v in played), sum(v.passed and (v.score or 0) < SOLVED for v in played)
    said = f"{plural(len(played), 'round')} played"
    said += f", {below} of them below {SOLVED} points" if below else f", each at {SOLVED} points or more" if not parts else ""
    said += f", {parts} as a part of the answer only" if parts else ""
    left = f"; {len(verdicts) - len(played)} not played" if len(played) < len(verdicts) else ""
    return f"{said}{left}; {seconds:.0f} s"


def writable(path: Path) -> Path:
    """Where the report will go. Raises UsageError now and not when everything was played."""
    place = path.expanduser().absolute()
    if place.is_dir() or not os.access(place if place.exists() else place.parent, os.W_OK):
        raise UsageError(f"--junit: {printable(path)} can't be written")
    return place
