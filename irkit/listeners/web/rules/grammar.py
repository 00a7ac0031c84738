"""The shape of rules, from which their JSON Schema is made, too."""

from __future__ import annotations

import functools
import typing
from typing import Any

import msgspec

from irkit import API_VERSION
from irkit.engine import grammar as playbooks
from irkit.engine.positions import Items, Node
from irkit.engine.shapes import REFUSED, Choice, Context, Duration, Field, List, Literal, Record, Shape, Text, Texts, Whole
from irkit.model.alert import LEVELS
from irkit.model.order import Needs

KIND = "Rules"
NAMES = dict.fromkeys(("alert.source", "alert.name", "alert.severity", "alert.namespace", "alert.pod", "alert.node"), "string")
"""What ``${…}`` may name: parts of the alert that are names. Each is put in once, and never read again."""
PER_HOUR = {"collect": 30}
"""Orders of one rule an hour, where the rule does not say, by command."""
PER_HOUR_OF_OTHERS = 3
WINDOW = "10m"
_ID = Text(playbooks.ID, "lower-case letters, digits and dashes, at most 63")
_GLOB = Text(r"[^\[\]\n]{1,253}", "a name in which * and ? stand for anything")
_FILLED = Text(fills=True, limit=253)


class OneOrMore(msgspec.Struct, frozen=True):
    """One of them, or a list."""

    of: Shape

    def read(self, node: Node, what: str, context: Context) -> Any:
        if isinstance(node, Items):
            return List(self.of).read(node, what, context)
        found = self.of.read(node, what, context)
        return found if found is REFUSED else (found,)

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [self.of.schema(), List(self.of).schema()]}


class Placed(msgspec.Struct, frozen=True):
    """A record that keeps its node under the empty name, for what is judged later."""

    of: Record

    def read(self, node: Node, what: str, context: Context) -> Any:
        found = self.of.read(node, what, context)
        return found if found is REFUSED else {**found, "": node}

    def schema(self) -> dict[str, Any]:
        return self.of.schema()


_MATCH = Record({
    "source": Field(OneOrMore(_ID), help="Names of sources in the settings."),
    "name": Field(OneOrMore(_GLOB), help="Of the detection: a Falco rule, an alertname, a kind of report, `create pods/exec`."),
    "severity": Field(Choice(LEVELS[1:]), help="At least so bad. An alert without a severity is below all."),
    "namespace": Field(OneOrMore(_GLOB), help="Namespaces."),
    "pod": Field(OneOrMore(_GLOB), help="Pods, or the workload where the alert names no pod."),
    "labels": Field(Texts(Text(limit=300)), help="Labels of the alert that must be equal."),
}, "'match'")  # fmt: skip

_RUN = Record({
    "command": Field(Choice(("collect", "contain")), help="What is ordered; or `playbook`."),
    "playbook": Field(_ID, help="The playbook that is ordered; or `command`."),
    "phase": Field(Text(limit=100), help="Only these phases of the playbook, joined by commas."),
    "target": Field(_FILLED, help="Default: the alert's pod, or its workload; its node or namespace where the playbook is about one."),
    "parameters": Field(Texts(_FILLED), help="Values of the playbook's parameters; `${alert.pod}` and the like are put in."),
    "take": Field(List(Text(limit=63)), help="For collect: only these kinds of evidence."),
}, "'run'")  # fmt: skip

_LIMITS = Record({
    "per-hour": Field(Whole(1, 1000), help="Orders of this rule in an hour; default: 30 of collect, 3 of anything else."),
    "percent-of-workload": Field(Whole(1, 100), help="Never more than this part of a workload's pods; all orders that change anything count."),
    "never-in": Field(List(_GLOB), help="Namespaces in which this rule orders nothing."),
}, "'limits'")  # fmt: skip

_RULE = Record({
    "name": Field(_ID, required=True, help="Its name, once in all files."),
    "match": Field(Placed(_MATCH), required=True, help="Which alerts; all that is written must hold."),
    "match-all": Field(Literal(bool), default=False, help="For a rule without source, name and severity, which then may only collect."),
    "run": Field(Placed(_RUN), required=True, help="What is ordered then."),
    "deduplicate": Field(Duration(), default=WINDOW, help="Alerts for the same target within that time are one order."),
    "cool-down": Field(Duration(), help="So long after an order is over there is no other one for its target."),
    "limits": Field(_LIMITS, help="How often at most."),
    "approval": Field(Choice(typing.get_args(Needs)), help="Who must approve; default: as the playbook says, and nobody for evidence only."),
    "approvers": Field(List(Text(limit=63)), help="Only these of the groups that the settings let approve in a chat (slack.approvers)."),
    "dry-run": Field(Literal(bool), default=False, help="Order nothing: only record what would have been ordered (`irkit serve report`)."),
}, "a rule")  # fmt: skip


@functools.lru_cache(maxsize=1)
def rules() -> Record:
    """The shape of a file of rules."""
    return Record({
        "apiVersion": Field(Choice((API_VERSION,)), required=True, help=f"`{API_VERSION}`."),
        "kind": Field(Choice((KIND,)), required=True, help="`Rules`."),
        "rules": Field(List(Placed(_RULE), loose=True), required=True, help="Each for itself: an alert may fit several."),
    }, "a file of rules")  # fmt: skip


def schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of a file of rules. What it refuses, the loader refuses; the loader refuses more."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "irkit rules",
            "description": "Which alerts become which orders, and how often at most.", **rules().schema()}  # fmt: skip
