"""Who may write what in irkit-system: the queue, the copies of incidents, the Leases."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from irkit.model.order import Decision, Ended, Held, Origin, Planned, identifier
from tests.controlplane.running import Obj
from tests.deploy.chart import ACTOR, LISTENER, NAMESPACE, Answer, Chart, config_map, held, order_map

pytestmark = pytest.mark.controlplane
LEADS, ONCALL = ("leads", "system:authenticated"), ("oncall", "system:authenticated")
INCIDENT = "irkit-20261122t031502z-backend-k7q2"
DIGEST = "0" * 64
PLAN = Planned(digest=DIGEST, intents=("1" * 64, "2" * 64), lines=('create "irkit-k7q2" [denies] {all}\\', "x"), warnings=('a "[b]", c',))
_numbers = itertools.count()


def fresh(**status: Any) -> Held:
    return held(identifier(f"event {next(_numbers)}"), **status)


def at_terminal(name: str, yes: bool = True, **more: Any) -> Decision:
    return Decision(by=Origin(door="cli", sender=name), yes=yes, at="2026-01-01T00:00:01Z", digest=DIGEST, **more)


def with_status(one: Held, **changes: Any) -> Obj:
    return order_map(msgspec.structs.replace(one, status=msgspec.structs.replace(one.status, **changes)))


def put(chart: Chart, user: str, manifest: Obj, groups: tuple[str, ...] = ()) -> Answer:
    """Patch it to this, as irkit writes."""
    patch = msgspec.json.encode({"data": manifest["data"]}).decode()
    name = manifest["metadata"]["name"]
    return chart.as_(user, "patch", "configmap", name, "-n", NAMESPACE, "--type=merge", f"--patch={patch}", groups=groups)


@pytest.fixture
def order(chart: Chart) -> Held:
    """An order that waits in the queue, put there by the listener."""
    one = fresh()
    assert not (answer := chart.create(LISTENER, order_map(one))).refused, answer.text
    one = msgspec.structs.replace(one, status=msgspec.structs.replace(one.status, state="waiting", planned=PLAN))
    assert not (answer := put(chart, ACTOR, order_map(one))).refused, answer.text
    return one


def test_the_listener_and_the_job_write_orders(chart: Chart, order: Held) -> None:
    assert not (answer := put(chart, LISTENER, with_status(order, state="queued"))).refused, answer.text
    ended = Ended(outcome="done", exit_code=0, summary='contained; said "so"\n\u202e\x07 ünï', missing=("a: b",))
    assert not (answer := put(chart, ACTOR, with_status(order, state="done", ended=ended, note="tab\there"))).refused, answer.text


def test_decisions_of_a_chat_are_written_by_the_listener(chart: Chart, order: Held) -> None:
    said = Decision(by=Origin(door="slack", sender="U2", shown='b "o" {b}', team="T1"), yes=True, at="2026-01-01T00:00:01Z", digest=DIGEST)
    assert not (answer := put(chart, LISTENER, with_status(order, decisions=(said,)))).refused, answer.text


def test_whoever_may_approve_decides_in_their_own_name_alone(chart: Chart, order: Held) -> None:
    theirs = with_status(order, state="queued", decisions=(at_terminal("ann", groups=LEADS),))
    assert put(chart, "bob", theirs, LEADS).refused
    assert put(chart, LISTENER, theirs).refused
    assert put(chart, ACTOR, theirs).refused
    assert not (answer := put(chart, "ann", theirs, LEADS)).refused, answer.text
    # what ann said stays, whoever writes the order next, also when it does not count any more
    kept = with_status(order, state="running", worker="w", decisions=(at_terminal("ann", groups=LEADS, void="she left"),))
    assert not (answer := put(chart, ACTOR, kept)).refused, answer.text


def test_what_a_chat_said_is_written_by_the_listener_alone(chart: Chart, order: Held) -> None:
    """Otherwise whoever may approve at a terminal would be the second person, too, and a Job that was taken over both."""
    said = Decision(by=Origin(door="slack", sender="U2", shown='b "o" {b}', team="T1"), yes=True, at="2026-01-01T00:00:01Z", digest=DIGEST)
    theirs = with_status(order, decisions=(said,))
    for user, groups in (("ann", LEADS), ("cat", ONCALL), (ACTOR, ())):
        assert "a decision is written by" in put(chart, user, theirs, groups).text
    assert not (answer := put(chart, LISTENER, theirs)).refused, answer.text
    both = with_status(order, state="queued", decisions=(said, at_terminal("ann", groups=LEADS)))
    assert not (answer := put(chart, "ann", both, LEADS)).refused, answer.text
    changed = msgspec.structs.replace(said, digest="f" * 64)
    assert put(chart, ACTOR, with_status(order, decisions=(changed,))).refused


def test_who_takes_incidents_over_approves_nothing(chart: Chart, order: Held) -> None:
    yes = with_status(order, state="queued", decisions=(at_terminal("cat", groups=("system:masters",)),))
    assert "a decision is written by" in put(chart, "cat", yes, ONCALL).text
    no = with_status(order, state="declined", decisions=(at_terminal("cat", yes=False),))
    assert not (answer := put(chart, "cat", no, ONCALL)).refused, answer.text


def test_nobody_decides_with_groups_that_are_not_theirs(chart: Chart, order: Held) -> None:
    """A Job asks again with them whether the right is still there."""
    more = with_status(order, state="queued", decisions=(at_terminal("ann", groups=(*LEADS, "system:masters")),))
    assert "a decision is written by" in put(chart, "ann", more, LEADS).text
    own = with_status(order, state="queued", decisions=(at_terminal("ann", groups=LEADS),))
    assert not (answer := put(chart, "ann", own, LEADS)).refused, answer.text
    assert put(chart, LISTENER, more).refused


@pytest.mark.parametrize("more", ['"digest":"%s"' % ("f" * 64), '"yes":true', '"at":"2026-01-01T00:00:09Z"'])
def test_a_field_said_twice_changes_no_decision(chart: Chart, order: Held, more: str) -> None:
    """Of a field that is there twice, irkit reads the last."""
    kept = with_status(order, decisions=(at_terminal("ann", yes=False),))
    assert not put(chart, "ann", kept, LEADS).refused
    text = kept["data"]["status.json"]
    kept["data"]["status.json"] = text.replace(f'"digest":"{DIGEST}"}}]', f'"digest":"{DIGEST}",{more}}}]')
    assert kept["data"]["status.json"] != text
    for user in (LISTENER, ACTOR):
        assert "a decision is written by" in put(chart, user, kept).text


def test_irkit_approve_gets_past_the_policy_with_an_approvers_rights_and_no_others(chart: Chart, order: Held, tmp_path: Path) -> None:
    def approve(user: str, *groups: str) -> subprocess.CompletedProcess[str]:
        document = json.loads(chart.plane.admin_kubeconfig.read_text())
        document["users"][0]["user"].update({"as": user, "as-groups": list(groups)})
        (tmp_path / "kubeconfig").write_text(json.dumps(document))
        environment = {**os.environ, "KUBECONFIG": str(tmp_path / "kubeconfig"), "IRKIT_HOME": str(tmp_path / "home"), "HOME": str(tmp_path)}
        command = [sys.executable, "-m", "irkit", "approve", order.order.id, "--yes"]
        return subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)

    assert approve("eve", "system:authenticated").returncode == 4
    done = approve("ann", *LEADS)
    assert done.returncode == 0, done.stderr
    status = json.loads(chart.plane.get("configmap", f"irkit-order-{order.order.id}", "-n", NAMESPACE)["data"]["status.json"])
    assert status["state"] == "queued"
    assert status["decisions"][0]["by"] == {"door": "cli", "sender": "ann"}
    assert "leads" in status["decisions"][0]["groups"]


def test_a_plan_is_the_jobs_that_made_it(chart: Chart, order: Held) -> None:
    """Whoever approves sees what will be done: nobody between the Job and them can show another plan, or have another one carried out."""
    others = [
        msgspec.structs.replace(PLAN, intents=("f" * 64,)),
        msgspec.structs.replace(PLAN, lines=("collect the evidence of 1 pod",)),
        msgspec.structs.replace(PLAN, digest="f" * 64),
        msgspec.structs.replace(PLAN, warnings=()),
    ]
    for planned in others:
        for user, groups in ((LISTENER, ()), ("ann", LEADS)):
            assert "a plan is written by the Job" in put(chart, user, with_status(order, planned=planned), groups).text
    assert "a plan is written by the Job" in chart.create(LISTENER, order_map(fresh(planned=PLAN))).text
    turned = order_map(order)
    turned["data"]["status.json"] = turned["data"]["status.json"].replace('"planned":{"digest":', '"planned":{"intents":["a"],"digest":')
    assert "a plan is written by the Job" in put(chart, LISTENER, turned).text
    for user in (LISTENER, ACTOR):
        assert not (answer := put(chart, user, with_status(order, note="seen"))).refused, answer.text
    assert not (answer := put(chart, ACTOR, with_status(order, state="planning", planned=None))).refused, answer.text


def test_the_largest_order_is_within_what_a_policy_may_cost(chart: Chart) -> None:
    one = fresh()
    assert not chart.create(LISTENER, order_map(one)).refused
    planned = Planned(digest=DIGEST, intents=tuple(f"{n:064x}" for n in range(400)), lines=('"' * 300,) * 40, warnings=('"' * 300,) * 10)
    groups = (*LEADS, *(f"g{n:059}" for n in range(50)))
    decisions = tuple(at_terminal("ann", groups=groups) for _ in range(5))
    ended = Ended(outcome="done", exit_code=0, summary="ü" * 2000, missing=("m" * 300,) * 40)
    assert not (answer := put(chart, ACTOR, with_status(one, planned=planned, ended=ended))).refused, answer.text
    answer = put(chart, "ann", with_status(one, planned=planned, ended=ended, decisions=decisions), groups)
    assert not answer.refused, answer.text


def test_a_decision_is_not_carried_over_to_another_plan(chart: Chart, order: Held) -> None:
    assert not put(chart, "ann", with_status(order, decisions=(at_terminal("ann"),)), LEADS).refused
    moved = msgspec.structs.replace(at_terminal("ann"), digest="f" * 64)
    assert put(chart, LISTENER, with_status(order, decisions=(moved,))).refused
    assert put(chart, LISTENER, with_status(order, decisions=(at_terminal("ann"), moved))).refused


TRICKS = {
    "spaces": lambda text: text.replace('"door":"slack"', '"door": "cli"'),
    "another order of fields": lambda text: text.replace('{"door":"slack","sender":"U9"', '{"sender":"ann","door":"cli"'),
    "a field twice": lambda text: text.replace('"door":"slack","sender":"U9"', '"door":"slack","sender":"U9","door":"cli","sender":"ann"'),
    "a sender twice": lambda text: text.replace('"sender":"U9"', '"sender":"U9","sender":"ann"'),
    "escapes in the value": lambda text: text.replace('"door":"slack"', '"door":"\\u0063li"'),
    "escapes in the field": lambda text: text.replace('"door":"slack"', '"\\u0064oor":"cli"'),
    "a field before": lambda text: text.replace('{"door":"slack"', '{"shown":"x","door":"cli"'),
    "by itself": lambda text: text.replace('"door":"slack","sender":"U9"', '"door":"cli","sender":"ann"'),
    "braces": lambda text: text.replace('"door":"slack","sender":"U9"', '"door":"cli","sender":"a{b}"'),
    "the decision turned round": lambda text: text.replace(
        '{"by":{"door":"slack","sender":"U9"},"yes":true', '{"yes":true,"by":{"door":"cli","sender":"ann"}'
    ),
}


@pytest.mark.parametrize("trick", TRICKS)
def test_no_spelling_gets_a_strangers_decision_past_the_policy(chart: Chart, order: Held, trick: str) -> None:
    said = Decision(by=Origin(door="slack", sender="U9"), yes=True, at="2026-01-01T00:00:01Z", digest=DIGEST)
    forged = with_status(order, decisions=(said,))
    text = forged["data"]["status.json"]
    forged["data"]["status.json"] = TRICKS[trick](text)
    assert forged["data"]["status.json"] != text
    answer = put(chart, LISTENER, forged)
    assert answer.refused, answer.text
    assert "irkit-orders" in answer.text, answer.text


def test_what_is_asked_for_does_not_change(chart: Chart, order: Held) -> None:
    other = msgspec.structs.replace(order, order=msgspec.structs.replace(order.order, namespace="payments"))
    for user in (LISTENER, ACTOR):
        assert "does not change" in put(chart, user, order_map(other)).text
    assert "does not change" in put(chart, "ann", order_map(other), LEADS).text


def test_an_order_in_somebody_elses_name_is_refused(chart: Chart) -> None:
    one = fresh()
    forged = msgspec.structs.replace(one, order=msgspec.structs.replace(one.order, origin=Origin(door="cli", sender="ann")))
    assert "in the name of whoever makes it" in chart.create(LISTENER, order_map(forged)).text


def test_what_a_chat_or_an_alert_asks_for_is_made_by_the_listener_alone(chart: Chart) -> None:
    """Otherwise who orders in somebody else's name would be the second person."""
    for door in ("slack", "webhook"):
        forged = fresh()
        forged = msgspec.structs.replace(forged, order=msgspec.structs.replace(forged.order, origin=Origin(door=door, sender="U2")))
        assert "in the name of whoever makes it" in chart.as_("cat", "create", "-f", "-", stdin=order_map(forged), groups=ONCALL).text
    own = fresh()
    own = msgspec.structs.replace(own, order=msgspec.structs.replace(own.order, origin=Origin(door="cli", sender="cat")))
    twice = order_map(own)
    twice["data"]["order.json"] = twice["data"]["order.json"][:-1] + ',"origin":{"door":"slack","sender":"U2"}}'
    assert "in the name of whoever makes it" in chart.as_("cat", "create", "-f", "-", stdin=twice, groups=ONCALL).text
    assert not (answer := chart.as_("cat", "create", "-f", "-", stdin=order_map(own), groups=ONCALL)).refused, answer.text


def test_nobody_else_writes_orders_whatever_their_roles(chart: Chart, order: Held) -> None:
    editor = chart.plane.user("", {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "edit", "namespace": NAMESPACE},
                                   "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["*"]}]}).name  # fmt: skip
    assert "an order is written by" in chart.create(editor, order_map(fresh())).text
    assert "an order is written by" in put(chart, editor, with_status(order, state="queued")).text
    assert "an order is written by" in chart.as_(editor, "delete", "configmap", f"irkit-order-{order.order.id}", "-n", NAMESPACE).text
    assert "a copy of an incident is written by" in chart.create(editor, config_map(INCIDENT, {})).text


def test_copies_of_incidents_are_not_the_listeners(chart: Chart) -> None:
    assert "a copy of an incident is written by" in chart.create(LISTENER, config_map(INCIDENT, {"signature": "x"})).text
    assert not (answer := chart.create(ACTOR, config_map(INCIDENT, {"signature": "x"}))).refused, answer.text
    assert put(chart, LISTENER, config_map(INCIDENT, {"signature": "y"})).refused
    assert chart.as_(LISTENER, "delete", "configmap", INCIDENT, "-n", NAMESPACE).refused
    assert put(chart, "ann", config_map(INCIDENT, {"signature": "y"}), LEADS).refused, "who approves does not take incidents over"
    assert not (answer := put(chart, "cat", config_map(INCIDENT, {"signature": "y"}), ONCALL)).refused, answer.text


@pytest.mark.parametrize("name", ["irkit-settings", "kube-root-ca.crt", "irkit-playbooks", "something"])
def test_irkits_own_accounts_write_no_other_configmap(chart: Chart, name: str) -> None:
    for user in (LISTENER, ACTOR):
        made, changed = chart.create(user, config_map(name, {"x": "y"})), put(chart, user, config_map(name, {"x": "y"}))
        assert made.refused
        assert changed.refused
        assert "no other ConfigMap" in made.text + changed.text


def test_who_approves_or_takes_over_changes_no_settings(chart: Chart) -> None:
    """Their Roles can't tell one ConfigMap from another; the settings say whose word counts, and where nothing may be done."""
    for user, groups in (("ann", LEADS), ("cat", ONCALL)):
        assert "irkit's settings and playbooks are" in put(chart, user, config_map("irkit-settings", {"config.yaml": "{}"}), groups).text
    assert "irkit's settings and playbooks are" in chart.create("cat", config_map("irkit-playbooks", {"x": "y"}), groups=ONCALL).text
    chart.plane.kubectl("patch", "configmap", "irkit-settings", "-n", NAMESPACE, "--type=merge", '--patch={"data":{"note":"by who administers it"}}')


def test_the_listener_leads_and_holds_no_target(chart: Chart) -> None:
    def lease(name: str) -> Obj:
        return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": name, "namespace": NAMESPACE}, "spec": {}}

    assert "the Lease irkit-listener" in chart.create(ACTOR, lease("irkit-listener")).text
    assert "the Lease irkit-listener" in chart.create(LISTENER, lease("irkit-0a1b")).text
    for user, name in ((LISTENER, "irkit-listener"), (ACTOR, "irkit-0a1b")):
        assert not (answer := chart.create(user, lease(name))).refused, answer.text
    steal = ("patch", "lease", "irkit-listener", "-n", NAMESPACE, "--type=merge", '--patch={"spec":{"holderIdentity":"me"}}')
    assert chart.as_(ACTOR, *steal).refused
    assert not (answer := chart.as_(LISTENER, *steal)).refused, answer.text
    assert chart.as_(LISTENER, "patch", "lease", "irkit-0a1b", *steal[3:]).refused


def test_a_job_makes_no_orders_and_removes_none(chart: Chart, order: Held) -> None:
    assert "makes no orders" in chart.create(ACTOR, order_map(fresh())).text
    assert chart.as_(ACTOR, "delete", "configmap", f"irkit-order-{order.order.id}", "-n", NAMESPACE).refused
    assert not (answer := chart.as_(LISTENER, "delete", "configmap", f"irkit-order-{order.order.id}", "-n", NAMESPACE)).refused, answer.text
