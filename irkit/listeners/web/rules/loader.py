"""Reads rules: files in, checked rules out, or every mistake at once as ``file:line:col: sentence``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from irkit.app.orders.queue import PLAYBOOKS
from irkit.app.respond import taking
from irkit.engine import library, parameters, positions
from irkit.engine.positions import Fields, Mistakes, Node, compose
from irkit.engine.shapes import REFUSED, Context, known
from irkit.errors import Mistake, PlaybookError, UsageError
from irkit.listeners.web.rules import grammar
from irkit.listeners.web.rules.rule import Limits, Match, Rule, Run
from irkit.model.order import Command
from irkit.model.playbook import Playbook
from irkit.settings import Settings
from irkit.text import printable

_HOUR = 3600.0  # what `per-hour` looks back
_ANYTHING = frozenset("*?")


def load(settings: Settings) -> tuple[Rule, ...]:
    """The rules that the settings name; none where they name none. Raises PlaybookError with the mistakes of all files."""
    place = settings.serve.rules
    if place is None:
        return ()
    place = place.expanduser()
    mend = "serve.rules names a file or a directory of .yaml files"
    try:
        paths = sorted(p for p in place.iterdir() if p.suffix in (".yaml", ".yml")) if place.is_dir() else [place]
    except OSError as error:
        raise UsageError(f"{printable(place)} can't be read: {error.strerror}", next=mend) from None
    if not paths:
        raise UsageError(f"there are no rules in {printable(place)}", next=mend)
    found: list[Rule] = []
    mistakes: list[Mistake] = []
    for path in paths:
        try:
            found += loads(positions.read(path), str(path), settings, taken=[rule.name for rule in found])
        except PlaybookError as error:
            mistakes += error.mistakes
    if mistakes:
        raise PlaybookError(mistakes)
    return tuple(found)


def loads(source: bytes, file: str, settings: Settings, taken: Sequence[str] = ()) -> tuple[Rule, ...]:
    """The rules in ``source``, called ``file`` in mistakes. ``taken``: names of rules of other files. Raises PlaybookError."""
    mistakes = Mistakes(file, "file of rules")
    root = compose(source, mistakes)
    context = Context(mistakes, grammar.NAMES)
    read = grammar.rules().read(root, "rules", context)
    if not isinstance(root, Fields) or read is REFUSED:
        raise PlaybookError(mistakes.found)
    found = tuple(_rules(read.get("rules", ()), settings, context, list(taken)))
    if mistakes.found:
        raise PlaybookError(mistakes.found)
    return found


def _rules(read: Sequence[Mapping[str, Any]], settings: Settings, context: Context, taken: list[str]) -> Iterator[Rule]:
    for one in read:
        if not {"name", "match", "run"} <= set(one):
            continue
        if one["name"] in taken:
            context.mistakes.at(one[""].get("name"), f"duplicate rule {one['name']!r}")
        taken.append(one["name"])
        _sources(one["match"], settings, context)
        run = _run(one["run"], settings, context)
        if run is not None:
            match = _match(one["match"])
            _bounded(one, match, run, context)
            rule = _rule(one, match, run)
            if (needed := max(rule.window, rule.cool_down, _HOUR)) > settings.orders.kept:
                context.mistakes.at(one[""], f"rule {rule.name!r} looks back {needed:g} s, and the queue forgets orders after "
                                             f"{settings.orders.kept:g} s (orders.kept)")  # fmt: skip
            yield rule


def _rule(one: Mapping[str, Any], match: Match, run: Run) -> Rule:
    limits = one.get("limits", {})
    window = one.get("deduplicate", parameters.seconds(grammar.WINDOW))
    return Rule(
        name=one["name"], match=match, run=run, window=window, cool_down=one.get("cool-down", 0.0), approval=one.get("approval"),
        approvers=one.get("approvers", ()), dry_run=one.get("dry-run", False),
        limits=Limits(per_hour=limits.get("per-hour", grammar.PER_HOUR.get(run.command, grammar.PER_HOUR_OF_OTHERS)),
                      percent=limits.get("percent-of-workload", 0), never=limits.get("never-in", ())),
    )  # fmt: skip


def _match(read: Mapping[str, Any]) -> Match:
    return Match(sources=read.get("source", ()), names=read.get("name", ()), level=read.get("severity", "unknown"), pods=read.get("pod", ()),
                 namespaces=read.get("namespace", ()), labels=read.get("labels", {}))  # fmt: skip


def _sources(match: Mapping[str, Any], settings: Settings, context: Context) -> None:
    for source in match.get("source", ()):
        if source not in settings.serve.sources:
            context.mistakes.at(match[""].get("source"), f"no source {source!r} in the settings{known(source, tuple(settings.serve.sources))}")


def _bounded(one: Mapping[str, Any], match: Match, run: Run, context: Context) -> None:
    """A rule must say what it is about, and what changes anything must be approved."""
    everything = not match.sources and match.level in ("unknown", "low") and (not match.names or any(set(n) <= _ANYTHING for n in match.names))
    if everything and not one.get("match-all"):
        context.mistakes.at(one["match"][""], f"rule {one['name']!r} matches every alert: name a source, a name or a severity above low, "
                                              "or say `match-all: true`")  # fmt: skip
    if everything and run.command != "collect":
        context.mistakes.at(one["run"][""], f"rule {one['name']!r} matches every alert: then it may only collect")
    if one.get("approval") == "nobody" and run.command != "collect":
        context.mistakes.at(one[""].get("approval"), "only evidence needs nobody's approval; everything else needs 'one' or 'two'")


def _run(read: Mapping[str, Any], settings: Settings, context: Context) -> Run | None:
    node: Fields = read[""]
    command, name = read.get("command"), read.get("playbook")
    if (command is None) == (name is None):
        if not {key.value for key, _ in node.entries} >= {"command", "playbook"} and (node.get("command") or node.get("playbook")):
            return None  # what is written could not be read, which was said
        context.mistakes.at(node, "'run' has either a command (collect, contain) or a playbook")
        return None
    place = node.get("playbook") or node.get("command") or node
    try:
        playbook = library.find(name or PLAYBOOKS[str(command)], settings)
        if read.get("take"):
            taking(playbook, read["take"])
    except UsageError as error:
        context.mistakes.at(node.get("take") or place if read.get("take") else place, error.message.split("\n")[0].removeprefix("--take: "))
        return None
    if "take" in read and command != "collect":
        context.mistakes.at(node.get("take") or place, "'take' is for collect; a playbook says itself what it takes")
    if command is not None and "phase" in read:
        context.mistakes.at(node.get("phase") or place, f"{command} has its phase; with 'playbook' others can be named")
    if playbook.target and playbook.target.type in ("secret", "serviceaccount") and "target" not in read:
        context.mistakes.at(place, f"playbook {playbook.name} is about a {playbook.target.type}, which no alert names: say which with 'target'")
    _phase(playbook, read.get("phase", ""), node, context)
    _parameters(playbook, read.get("parameters", {}), node, context)
    ordered: Command = "respond" if command is None else command
    return Run(
        command=ordered, playbook=name or "", phase=read.get("phase", ""), target=read.get("target", ""),
        takes=playbook.target.type if playbook.target else "pod", parameters=read.get("parameters", {}), take=read.get("take", ()),
    )  # fmt: skip


def _phase(playbook: Playbook, phase: str, node: Fields, context: Context) -> None:
    try:
        playbook.of(phase)
    except UsageError as error:
        context.mistakes.at(node.get("phase") or node, error.message)


def _parameters(playbook: Playbook, given: Mapping[str, str], node: Fields, context: Context) -> None:
    asked = {p.name: p for p in playbook.parameters if p is not playbook.target}
    written = node.get("parameters")
    for name, value in given.items():
        place: Node = (written.get(name) if isinstance(written, Fields) else None) or node
        if name not in asked:
            context.mistakes.at(place, f"playbook {playbook.name} has no parameter {printable(name, 60)!r}{known(name, tuple(asked))}")
        elif "${" not in value:
            try:
                parameters.parse(asked[name], value)
            except UsageError as error:
                context.mistakes.at(place, error.message)
    for name, parameter in asked.items():
        if parameter.required and name not in given:
            context.mistakes.at(node, f"playbook {playbook.name} needs parameter {name!r}")
