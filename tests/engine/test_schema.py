"""The schema that editors complete from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import jsonschema_rs
import pytest

from irkit.engine.bindings import arguments
from irkit.engine.grammar import fields_of
from irkit.engine.library import builtin
from irkit.engine.positions import Mistakes, compose, plain
from irkit.engine.schema import playbook_schema
from irkit.errors import UsageError
from irkit.model.arguments import Pod, Pods, Workload
from irkit.model.changes import Change
from irkit.model.incident import Incident
from irkit.model.kube import PODS, ObjectRef
from irkit.model.plan import Confirm
from irkit.ports import Observed
from irkit.steps import KINDS

SCHEMA = playbook_schema()
VALIDATOR = jsonschema_rs.Draft202012Validator(SCHEMA)


@pytest.mark.parametrize("path", sorted(builtin().glob("*.yaml")), ids=lambda path: path.stem)
def test_every_playbook_is_accepted(path):
    VALIDATOR.validate(plain(compose(path.read_bytes(), Mistakes(str(path)))))


def test_it_is_a_schema():
    assert jsonschema_rs.meta.is_valid(SCHEMA)
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_every_step_kind_is_offered_with_what_it_is_for():
    offered = {choice["const"]: choice["description"] for choice in SCHEMA["$defs"]["step"]["properties"]["step"]["oneOf"]}
    assert list(offered) == [kind.kind for kind in KINDS]
    assert all(text.startswith("End state:") for text in offered.values())


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_every_parameter_of_every_kind_is_offered(kind):
    cases = {case["if"]["properties"]["step"]["const"]: case["then"] for case in SCHEMA["$defs"]["step"]["allOf"]}
    then = cases[kind.kind]
    assert list(then["properties"]["with"]["properties"]) == list(fields_of(kind))
    assert ("required" in then) == any(field.required for field in fields_of(kind).values())


def document(step: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "irkit.dev/v1", "kind": "Playbook",
        "metadata": {"name": "a", "title": "A", "severity": "low", "runbook": "a.md"}, "phases": {"containment": [step]},
    }  # fmt: skip


@pytest.mark.parametrize(
    "step",
    [
        {"id": "a", "step": "quarantin", "with": {"pod": "${pod}"}},
        {"id": "a", "step": "quarantine"},
        {"id": "a", "step": "quarantine", "with": {"pods": "${pod}"}},
        {"id": "a", "step": "quarantine", "with": {"pod": "x"}},
        {"id": "a", "step": "collect", "with": {"pods": "${pod.siblings}", "take": ["lgs"]}},
        {"id": "a", "step": "quarantine", "with": {"pod": "${pod}"}, "timeout": "2 minutes"},
        {"id": "A", "step": "quarantine", "with": {"pod": "${pod}"}},
        {"step": "quarantine", "with": {"pod": "${pod}"}},
    ],
    ids=lambda step: str(sorted(step.items())),
)
def test_editors_see_the_usual_mistakes(step):
    assert VALIDATOR.is_valid(document({"id": "a", "step": "quarantine", "with": {"pod": "${pod}"}}))
    assert not VALIDATOR.is_valid(document(step))


@dataclass(frozen=True, slots=True)
class Everything:
    """End state: every type that a step's field may have."""

    kind: ClassVar[str] = "everything"
    confirm: ClassVar[Confirm] = "never"

    pod: Pod
    pods: Pods
    workload: Workload
    text: str
    lines: tuple[str, ...] = ()
    mode: Literal["soft", "hard"] = "soft"
    max_count: int = 3
    ratio: float = 0.5
    deep: bool = False

    def plan(self, incident: Incident, seen: Observed) -> Iterator[Change]:
        return iter(())

    def notes(self, incident: Incident, seen: Observed) -> Iterator[str]:
        return iter(())


WRITTEN = {
    "pod": "${pod}", "pods": ("${pod}",), "workload": "${pod.workload}", "text": "${pod.name} is ${count} times ${flag} for ${grace}",
    "lines": ("${count}",), "max-count": "${count}", "deep": "${flag}",
}  # fmt: skip


def test_arguments_are_typed():
    pod = ObjectRef(resource=PODS, name="${pod.node}", namespace="n")
    values = {"pod": pod, "pod.workload": pod, "pod.name": "${pod.node}", "count": 7, "flag": True, "grace": 300.0}
    got = arguments(Everything, WRITTEN, values)
    assert got == {
        "pod": pod, "pods": (pod,), "workload": pod, "text": "${pod.node} is 7 times true for 300 s", "lines": ("7",), "max_count": 7, "deep": True,
    }  # fmt: skip
    assert Everything(**got).max_count == 7


def test_a_hole_is_no_text():
    with pytest.raises(UsageError, match=r"nothing is bound to \$\{count\}"):
        arguments(Everything, {"text": "${count} times"}, {"count": None})
    assert arguments(Everything, {"workload": "${pod.workload}"}, {"pod.workload": None}) == {"workload": None}


def test_a_type_that_no_playbook_can_write_is_refused():
    @dataclass(frozen=True)
    class Odd:
        kind: ClassVar[str] = "odd"
        table: dict[str, int]

    with pytest.raises(TypeError, match=r"Odd\.table: a playbook can't write a"):
        fields_of(Odd)


def test_every_type_has_a_schema():
    schema = playbook_schema((Everything,))
    validator = jsonschema_rs.Draft202012Validator(schema)
    step = {"id": "a", "step": "everything", "with": {key: list(v) if isinstance(v, tuple) else v for key, v in WRITTEN.items()}}
    assert validator.is_valid(document(step))
    assert not validator.is_valid(document({**step, "with": {**step["with"], "mode": "loud"}}))  # type: ignore[dict-item]
