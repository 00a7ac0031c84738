"""The shape of a scenario, made from the types that it is loaded into, from the kinds of acts and of end states."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import re
import shlex
import typing
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from irkit import API_VERSION
from irkit.engine import grammar as playbooks
from irkit.engine import parameters
from irkit.engine.positions import Fields, Node, Scalar, plain
from irkit.engine.shapes import REFUSED, Choice, Context, Duration, Field, List, Record, Shape, Text, Texts, Whole, known, refuse, shown
from irkit.game.acts import ACTS
from irkit.game.goals import GOALS
from irkit.game.kubectl import VERBS
from irkit.model.scenario import STAGES, Hold
from irkit.text import printable

KIND = "Scenario"
NAMES: dict[str, str] = dict.fromkeys(("suspect", "namespace", "workload", "image", "account", "node", "files", "replicas"), "string")
"""What ``${…}`` may name in commands and sentences; `irkit.game.cast.Cast.names` has the values."""
BASES = ("todo-app", "empty")
_ID = Text(playbooks.ID, "lower-case letters, digits and dashes, at most 63")
_NAME = r"[a-z0-9](?:[a-z0-9.:-]{0,251}[a-z0-9])?"
_FILE = r"[a-z0-9][a-z0-9.-]{0,62}"
_SENTENCE = Text(fills=True, limit=400)
_COMMANDS = ("contain", "collect", "rotate", "redeploy", "respond", "resume", "lift", "verify", "blast-radius", "incident")
"""What of irkit a scenario may type; it comes from strangers, and is typed in the terminal of whoever plays it."""
_ELSEWHERE = ("--kubeconfig", "--context", "--playbooks", "--output-dir", "--server", "--cluster", "--user", "--token", "--as")
_HANDED = re.compile(r"[^=]*=\$\{files\}/" + _FILE)
"""A value of ``--value``: the file is one of those that the scenario itself hands out."""


class Command(msgspec.Struct, frozen=True):
    """What a responder types: irkit or kubectl against the game's cluster and no other, or a while of waiting."""

    def read(self, node: Node, what: str, context: Context) -> Any:
        text = Text(fills=True, limit=400).read(node, what, context)
        return text if text is REFUSED or not (why := _foreign(text)) else refuse(node, context, why)

    def schema(self) -> dict[str, Any]:
        return {**Text(limit=400).schema(), "pattern": "^(?:irkit|kubectl|wait) "}


def _foreign(command: str) -> str:
    """Why a command can't be a scenario's; empty: it can."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        return f"{printable(command, 80)!r} can't be read: {printable(error)}"
    match words:
        case ["wait", span] if parameters.seconds(span):
            return ""
        case ["kubectl", _, *rest] | ["irkit", *rest] if any(word.startswith(_ELSEWHERE) for word in rest):
            return f"a scenario plays on its own cluster and in its own directory: {printable(command, 80)!r} names another, or other playbooks"
        case ["irkit", *rest] if any(not _HANDED.fullmatch(value) for value in _values(rest)):
            return f"a value is in a file of the scenario's own, as in --value web/key=${{files}}/new.key, not in {printable(command, 80)!r}"
        case ["kubectl", verb, *_] if verb in VERBS:
            return ""
        case ["kubectl", verb, *_]:
            return f"rehearsals know no 'kubectl {printable(verb, 40)}'{known(verb, VERBS)}"
        case ["irkit", "respond", playbook, *_] if not re.fullmatch(playbooks.ID, playbook):
            return f"after 'irkit respond' comes the name of a playbook, and no file: {printable(playbook, 80)}"
        case ["irkit", verb, *_] if verb in _COMMANDS:
            return ""
        case ["irkit", verb, *_]:
            return f"no scenario types 'irkit {printable(verb, 40)}'{known(verb, _COMMANDS)}"
    return f"a command begins with irkit or kubectl, or is a time as in 'wait 30s', not {printable(command, 80)!r}"


def _values(words: Sequence[str]) -> list[str]:
    """What ``--value`` is given, in either of its two forms."""
    apart = [after for word, after in itertools.pairwise([*words, ""]) if word == "--value"]
    return apart + [word.partition("=")[2] for word in words if word.startswith("--value=")]


class Manifest(msgspec.Struct, frozen=True):
    """A Kubernetes object, taken as it is but for what names it."""

    def read(self, node: Node, what: str, context: Context) -> Any:
        found = plain(node)
        if not isinstance(node, Fields) or not isinstance(found, dict):
            return refuse(node, context, f"{what!r} takes Kubernetes objects, not {shown(node)}")
        meta = found.get("metadata")
        named = meta if isinstance(meta, dict) else {}
        for name, value in (("apiVersion", found.get("apiVersion")), ("kind", found.get("kind")), ("metadata.name", named.get("name"))):
            if not isinstance(value, str) or not value:
                return refuse(node, context, f"an object needs {name!r}")
        for word in ("name", "namespace"):
            if not re.fullmatch(_NAME, str(named.get(word, "x"))) or not isinstance(named.get(word, ""), str):
                return refuse(node, context, f"'metadata.{word}' takes lower-case letters, digits, dashes, dots and colons, at most 253")
        for word in ("labels", "annotations"):
            values = named.get(word, {})
            if not isinstance(values, dict) or not all(isinstance(value, str) for value in values.values()):
                return refuse(node, context, f"'metadata.{word}' takes a mapping from names to text")
        return found

    def schema(self) -> dict[str, Any]:
        name = {"type": "string", "pattern": f"^(?:{_NAME})$"}
        texts = {"type": "object", "additionalProperties": {"type": "string"}}
        named = {"type": "object", "required": ["name"], "properties": {"name": name, "namespace": name, "labels": texts, "annotations": texts}}
        text = {"type": "string", "minLength": 1}
        return {"type": "object", "required": ["apiVersion", "kind", "metadata"], "properties": {"apiVersion": text, "kind": text, "metadata": named}}


class Kinded(msgspec.Struct, frozen=True):
    """A mapping whose field ``word`` names its kind, on which depends what ``with`` takes."""

    word: str
    of: Mapping[str, Record]
    unknown: Record

    def read(self, node: Node, what: str, context: Context) -> Any:
        kind = node.get(self.word) if isinstance(node, Fields) else None
        named = kind.value if isinstance(kind, Scalar) else None
        read = self.of.get(str(named), self.unknown).read(node, what, context)
        return read if read is REFUSED else {**read, "": node}

    def schema(self) -> dict[str, Any]:
        def case(kind: str, record: Record) -> dict[str, Any]:
            then = {"properties": {"with": record.fields["with"].shape.schema()}, **_needs(record)}
            return {"if": {"properties": {self.word: {"const": kind}}, "required": [self.word]}, "then": then}

        return {**self.unknown.schema(), "allOf": [case(kind, record) for kind, record in self.of.items()]}


def _needs(record: Record) -> dict[str, Any]:
    return {"required": ["with"]} if record.fields["with"].required else {}


def _kinded(word: str, kinds: tuple[type[Any], ...], fields: dict[str, Field], noun: str) -> Kinded:
    """Records of all ``kinds``, each with its own ``with``."""
    names = tuple(kind.kind for kind in kinds)
    known = {**fields, word: Field(Choice(names, f"kind of {noun}"), required=True, help=f"The kind of {noun}.")}

    def record(kind: type[Any] | None) -> Record:
        if kind is None:
            return Record({**known, "with": Field(playbooks.Anything())}, f"an {noun}")
        own = taken(kind)
        needed = any(f.required for f in own.values())
        return Record({**known, "with": Field(Record(own, f"'with' of {kind.kind}"), required=needed)}, f"an {noun}")

    return Kinded(word, {kind.kind: record(kind) for kind in kinds}, record(None))


def taken(kind: type[Any]) -> dict[str, Field]:
    hints = typing.get_type_hints(kind, include_extras=True)
    return {f.name.replace("_", "-"): Field(_shape(hints[f.name], f"{kind.__name__}.{f.name}"), required=f.default is dataclasses.MISSING
            and f.default_factory is dataclasses.MISSING) for f in dataclasses.fields(kind)}  # fmt: skip


def _shape(hint: Any, where: str) -> Shape:
    """As a step's field; besides, a Kubernetes object is a mapping."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is dict:
        return Manifest() if args[1] is Any else Texts(Text(line=False))
    if hint is str:
        return Text(line=False)
    if origin is tuple and args[0] is str:
        return List(Text(line=False), again=where.endswith(".path"))  # spec.template.spec
    return playbooks.shape_of(hint, where)


@functools.lru_cache(maxsize=1)
def scenario() -> Record:
    """The shape of a whole scenario."""
    act = _kinded("act", ACTS, {
        "at": Field(Duration(), required=True, help="How long after the alert."),
        "every": Field(Duration(), help="Again each time so long after."),
    }, "act")  # fmt: skip
    goal = _kinded("state", GOALS, {
        "id": Field(_ID, required=True, help="Its name on the card, once in a scenario."),
        "points": Field(Whole(1, 1000), required=True, help="What it is worth; all goals together count as 100."),
        "stage": Field(Choice(STAGES), help="Which time of the scorecard it is measured for."),
        "hold": Field(Choice(typing.get_args(Hold)), default="end", help="Whether it must hold at the end, or all the time."),
        "within": Field(Duration(), help="How long after the alert it should be reached."),
        "why": Field(_SENTENCE, required=True, help="What it costs when it is missed."),
        "runbook": Field(Text(r"[a-z0-9-]+\.md(#[a-z0-9-]+)?", "page.md#step"), help="What the runbook says there."),
        "better": Field(_SENTENCE, help="The command that would have done it."),
    }, "end state")  # fmt: skip
    said = Field(_SENTENCE, required=True)
    inject = Record({"at": Field(Duration(), required=True), "from": Field(Text(limit=80), required=True), "says": said}, "an inject")
    return Record({
        "apiVersion": Field(Choice((API_VERSION,)), required=True, help=f"`{API_VERSION}`."),
        "kind": Field(Choice((KIND,)), required=True, help="`Scenario`."),
        "metadata": Field(_METADATA, required=True, help="What it is called, how hard it is, what it teaches."),
        "world": Field(_WORLD, help="What is there before it begins."),
        "alert": Field(_SENTENCE, required=True, help="What the responders are told at the beginning."),
        "lasts": Field(Duration(), default="30m", help="When it ends at the latest."),
        "attack": Field(List(act, loose=True), help="What the attacker, and the rest of the world, does and when."),
        "injects": Field(List(inject, loose=True), help="What somebody says to the responders: each `at`, `from`, `says`."),
        "goals": Field(List(goal, loose=True), required=True, help="What a good response looks like, as end states that can be seen from outside."),
        "best": Field(List(Command(), loose=True), help="What irkit itself types in it; without, its first playbook."),
        "naive": Field(List(Command(), loose=True), help="The usual kubectl commands, as they stand in many a runbook."),
    }, "a scenario")  # fmt: skip


_METADATA = Record({
    "name": Field(_ID, required=True, help="The name by which it is called."),
    "title": Field(Text(limit=200), required=True, help="The name for people."),
    "difficulty": Field(Whole(1, 5), required=True, help="From 1, the first to play, to 5."),
    "playbooks": Field(List(_ID), required=True, help="The playbooks that fit it, the best one first."),
    "traps": Field(List(_ID), help="What it teaches, in a word each."),
}, "'metadata'")  # fmt: skip

_WORLD = Record({
    "base": Field(Choice(BASES), default="todo-app", help="The built-in cluster that it begins with."),
    "namespace": Field(_ID, help="Where the suspect is; default: as the base says."),
    "suspect": Field(Texts(Text()), help="Labels of the pods of which one is under attack."),
    "manifests": Field(List(Manifest(), loose=True), help="Objects to add, or to merge into those that are there."),
    "without": Field(List(Text(r"[A-Za-z]+ [a-z0-9./-]+", "Kind namespace/name")), help="Objects to take away."),
    "files": Field(Texts(Text(line=False), _FILE), help="What the players are handed: text by name of a file, in ${files}."),
    "vault": Field(Texts(Texts(Text(line=False))), help="Entries below secret/, with their properties."),
}, "'world'")  # fmt: skip
