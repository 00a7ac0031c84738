"""Where playbooks come from, and what ``${…}`` and ``-p`` may hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from irkit.engine import bindings, library, parameters
from irkit.errors import PlaybookError, UsageError
from irkit.model.incident import ClusterIdentity, Incident, Operator, Target
from irkit.model.kube import DEPLOYMENTS, PODS, ObjectRef
from irkit.model.playbook import Parameter
from irkit.settings import Settings

NAMES = sorted(p.stem for p in library.builtin().glob("*.yaml"))


def own(folder: Path, name: str, title: str = "Mine") -> Settings:
    source = (library.builtin() / "isolate-only.yaml").read_text()
    (folder / f"{name}.yaml").write_text(source.replace("Isolate a pod, touch nothing else", title))
    (folder / "isolate-only.md").write_text("mine")
    return Settings(playbooks=folder)


def test_the_built_in_ones():
    entries = list(library.list_all(Settings()))
    assert [e.name for e in entries] == NAMES
    assert len(NAMES) == 10
    assert all(e.builtin and e.playbook is not None and e.playbook.name == e.name for e in entries)


def test_a_directory_adds_and_overrides(tmp_path):
    settings = own(tmp_path, "isolate-only")
    own(tmp_path, "zzz")
    assert [(e.name, e.builtin) for e in library.list_all(settings)] == [*((n, n != "isolate-only") for n in NAMES), ("zzz", False)]
    assert library.find("isolate-only", settings).title == "Mine"
    assert library.runbook(library.find("isolate-only", settings)).read_text() == "mine"
    assert library.find("isolate-only", Settings()).title != "Mine"


def test_a_broken_one_is_listed_with_its_mistakes(tmp_path):
    (tmp_path / "broken.yaml").write_text("kind: Playbook")
    entry = next(library.list_all(Settings(playbooks=tmp_path)))
    assert (entry.name, entry.playbook) == ("broken", None)
    assert "broken.yaml:1:1: a playbook needs 'apiVersion'" in entry.mistake


def test_by_path(tmp_path):
    own(tmp_path, "mine")
    assert library.find(str(tmp_path / "mine.yaml"), Settings()).title == "Mine"
    with pytest.raises(PlaybookError, match="can't be read"):
        library.find("./nothing.yaml", Settings())


def test_an_unknown_name_offers_the_nearest(tmp_path):
    with pytest.raises(UsageError, match=r"no playbook 'compromise-pod'; did you mean compromised-pod or "):
        library.find("compromise-pod", Settings())
    with pytest.raises(UsageError, match=r"no playbook 'zzzzzzz\\x1b'; there are collect-only, compromised-node, "):
        library.find("zzzzzzz\x1b", Settings())
    with pytest.raises(UsageError, match="No such file or directory"):
        library.find("x", Settings(playbooks=tmp_path / "absent"))


def test_a_user_playbook_does_not_borrow_a_built_in_runbook(tmp_path):
    settings = own(tmp_path, "mine")
    (tmp_path / "isolate-only.md").unlink()
    with pytest.raises(PlaybookError, match=r"no runbook 'isolate-only\.md'"):
        library.find("mine", settings)


POD = ObjectRef(resource=PODS, name="backend-x", namespace="todo-app", uid="1")
APP = ObjectRef(resource=DEPLOYMENTS, name="backend", namespace="todo-app", uid="2")
INCIDENT = Incident(
    id="20261122T031502Z-backend-k7q2", opened="2026-11-22T03:15:02Z", operator=Operator(name="oncall"),
    cluster=ClusterIdentity(context="prod-eu", server="https://127.0.0.1", uid="3"),
    target=Target(pod=POD, workload=APP, siblings=(POD,), node="node-3"), playbook="compromised-pod", parameters={"count": 4},
)  # fmt: skip


def test_whatever_may_be_named_is_bound_to_a_value_of_its_type():
    known = parameters.names([("it", "pod"), ("count", "integer")])
    values = bindings.names(Parameter(name="it", type="pod"), INCIDENT)
    types = {"pods": tuple, "string": str, "integer": int, "workload": ObjectRef, "pod": ObjectRef}
    assert {name: type(values.get(name)) for name in known} == {name: types[kind] for name, kind in known.items()}


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [("integer", "-3", -3), ("duration", "1h30m", 5400.0), ("boolean", "false", False), ("string", "x y", "x y"), ("pod", "a", "a"),
     ("image", "r.example/app@sha256:" + "0" * 64, "r.example/app@sha256:" + "0" * 64)],
)  # fmt: skip
def test_values_of_the_command_line(kind, text, value):
    assert parameters.parse(Parameter("p", kind), text) == value


@pytest.mark.parametrize(
    ("kind", "text"),
    [("integer", "3.5"), ("integer", "9" * 40), ("integer", "٣"), ("duration", "90"), ("duration", "0s"), ("duration", "25h"), ("duration", "s"),
     ("boolean", "yes"), ("string", ""), ("image", "app:1.4"), ("image", "app@sha256:abc")],
)  # fmt: skip
def test_wrong_values_of_the_command_line(kind, text):
    with pytest.raises(UsageError, match=r"parameter p takes "):
        parameters.parse(Parameter("p", kind), text)
