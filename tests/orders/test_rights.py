"""Who may approve is asked of the cluster and of the settings, when they decide and again before anything is done."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from irkit import settings as loading
from irkit.adapters.kubernetes import connect
from irkit.app.orders.rights import reviewed
from irkit.errors import RefusedError
from irkit.model.kube import CONFIGMAPS, ROLEBINDINGS, ObjectRef
from irkit.model.order import SYSTEM_NAMESPACE, Decision, Origin
from irkit.ports import Cluster
from tests.e2e.running import Irkit
from tests.orders.desk import BOB, CAT, SLACK, Desk
from tests.orders.test_flow import written
from tests.orders.words import PLAN, SETTINGS, cli, order

REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "orders.md"
DOCUMENTED = yaml.safe_load(re.findall(r"```yaml\n(kind: Role\n.*?)```", REFERENCE.read_text(), re.DOTALL)[0])
APPROVER: dict[str, Any] = {**DOCUMENTED, "metadata": {"name": "approver", "namespace": SYSTEM_NAMESPACE}}


def person(desk: Desk, name: str, home: Path, *roles: dict[str, Any]) -> Irkit:
    """Somebody at a terminal of their own, with these roles and no more."""
    for role in roles:
        where = {k: v for k, v in role["metadata"].items() if k == "namespace"}
        if not any(o["metadata"]["name"] == role["metadata"]["name"] for s, o in desk.box.store.everything() if s.resource.kind == role["kind"]):
            desk.box.store.add(role)
        desk.box.store.add({
            "apiVersion": role["apiVersion"], "kind": f"{role['kind']}Binding", "metadata": {"name": f"{role['metadata']['name']}-{name}", **where},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": role["kind"], "name": role["metadata"]["name"]},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": name}],
        })  # fmt: skip
    home.mkdir()
    return Irkit(desk.box.token_for(name), home / "state").configured(home / "config.yaml", slack=SLACK)


def test_at_a_terminal_the_plan_is_shown_and_a_person_asked(desk: Desk, tmp_path: Path):
    identifier = desk.submit()
    desk.until(identifier, "waiting")
    cat = person(desk, "cat@example.com", tmp_path / "cat", APPROVER)
    answer = cat.asked("approve", identifier, answers=["n"]).ended(3)
    assert "create NetworkPolicy todo-app/irkit-" in answer.stdout
    assert desk.queue.get(identifier).status.state == "waiting"
    answer = cat.asked("approve", identifier, answers=["y"]).ended(0)
    assert f"Order {identifier} is approved." in answer.stdout
    (decision,) = desk.queue.get(identifier).status.decisions
    assert (decision.by, "system:authenticated" in decision.groups) == (cli("cat@example.com"), True)
    assert desk.over(identifier).status.state == "done"


def test_without_a_terminal_and_without_yes_nothing_is_decided(desk: Desk, tmp_path: Path):
    identifier = desk.submit()
    desk.until(identifier, "waiting")
    cat = person(desk, "cat@example.com", tmp_path / "cat", APPROVER)
    cat.run("approve", identifier).ended(3)
    document = cat.json("approve", identifier, "--yes")
    assert (document["kind"], document["status"]["state"], document["order"]["id"]) == ("Order", "queued", identifier)
    again = json.loads(cat.run("approve", identifier, "--yes", "-o", "json").ended(8).stdout)
    assert "does not wait for a decision: it is queued (approved by cli cat@example.com" in again["error"]["message"]


def test_who_lacks_the_right_is_told_so(desk: Desk, tmp_path: Path):
    identifier = desk.submit()
    desk.until(identifier, "waiting")
    only_maps = {**APPROVER, "metadata": {"name": "maps", "namespace": SYSTEM_NAMESPACE}, "rules": APPROVER["rules"][1:]}
    eve = person(desk, "eve@example.com", tmp_path / "eve", only_maps)
    for words in (("approve", identifier, "--yes"), ("approve", identifier, "--decline"), ("order", "cancel", identifier)):
        said = eve.run(*words).ended(4).stderr
        assert "eve@example.com may not create approvals.irkit.dev in namespace irkit-system" in said
    assert desk.queue.get(identifier).status.state == "waiting"


def test_a_right_that_was_lost_meanwhile_does_not_count(desk: Desk, tmp_path: Path):
    identifier = desk.submit()
    desk.until(identifier, "waiting")
    cat = person(desk, "cat@example.com", tmp_path / "cat", APPROVER)
    cat.run("approve", identifier, "--yes").ended(0)
    desk.ports.cluster.delete(ObjectRef(resource=ROLEBINDINGS, name="approver-cat@example.com", namespace=SYSTEM_NAMESPACE))
    held = desk.until(identifier, lambda h: h.status.state == "waiting" and h.status.begun == 3)
    assert "cli cat@example.com may not create approvals.irkit.dev any more; it needs somebody's approval" in held.status.note
    assert [bool(d.void) for d in held.status.decisions] == [True]
    assert written(desk) == []
    desk.decide(held)
    assert desk.over(identifier).status.state == "done"


def test_a_decision_that_somebody_wrote_into_the_queue_does_not_count(desk: Desk):
    """Whoever may write ConfigMaps there can claim to be anybody; the cluster and the settings say who may."""
    identifier = desk.submit()
    held = desk.until(identifier, "waiting")
    assert held.status.planned
    forged = f'{{"by":{{"door":"cli","sender":"mallory"}},"yes":true,"at":"2026-11-22T03:00:00Z","digest":"{held.status.planned.digest}"}}'
    ref = ObjectRef(resource=CONFIGMAPS, name=f"irkit-order-{identifier}", namespace=SYSTEM_NAMESPACE)
    text = desk.ports.cluster.get(ref)["data"]["status.json"].replace('"state":"waiting"', f'"state":"queued","decisions":[{forged}]')
    desk.ports.cluster.patch(ref, {"data": {"status.json": text}})
    held = desk.until(identifier, lambda h: h.status.state == "waiting" and h.status.begun == 3)
    assert "cli mallory may not create approvals.irkit.dev any more" in held.status.note
    assert written(desk) == []


def test_a_state_that_somebody_wrote_into_the_queue_approves_nothing(desk: Desk):
    identifier = desk.submit()
    desk.until(identifier, "waiting")
    ref = ObjectRef(resource=CONFIGMAPS, name=f"irkit-order-{identifier}", namespace=SYSTEM_NAMESPACE)
    text = desk.ports.cluster.get(ref)["data"]["status.json"].replace('"state":"waiting"', '"state":"queued"')
    desk.ports.cluster.patch(ref, {"data": {"status.json": text}})
    desk.until(identifier, lambda h: h.status.state == "waiting" and h.status.begun == 3)
    assert written(desk) == []


def test_who_left_the_group_in_the_settings_does_not_count_any_more(desk: Desk):
    identifier = desk.submit()
    desk.decide(desk.until(identifier, "waiting"))
    desk.configure(slack={**SLACK, "users": {"U1": ["oncall"], "U2": ["oncall"], "U3": ["leads"]}})
    held = desk.until(identifier, lambda h: h.status.state == "waiting" and h.status.begun == 3)
    assert "bob (slack U2) is in none of the groups that may approve" in held.status.note
    assert written(desk) == []


def test_two_persons_are_counted_again_before_anything_is_done(desk: Desk):
    """Bob turns out to be ann's second account."""
    identifier = desk.submit(needs="two")
    desk.decide(desk.until(identifier, "waiting"))
    desk.configure(orders={"people": {"ann": {"slack": ["U1", "U2"]}}})
    held = desk.until(identifier, lambda h: h.status.state == "waiting" and h.status.begun == 3)
    assert "it needs a second person" in held.status.note
    assert written(desk) == []
    with pytest.raises(RefusedError, match=r"bob .* asked for it, and can't approve it"):
        desk.decide(held)
    desk.decide(held, CAT)
    assert desk.over(identifier).status.state == "done"


def test_who_may_not_ask_says_so(tmp_path: Path, desk: Desk):
    decision = Decision(by=cli("cat"), yes=True, at="2026-11-22T03:00:00Z", digest=PLAN.digest)
    nobody: Cluster = connect(loading.load({"KUBECONFIG": str(desk.box.token_for("nobody")), "HOME": str(tmp_path)}))
    found, unchecked = reviewed(nobody, order(), (decision,), SETTINGS)
    assert found == (decision,)
    assert unchecked.startswith("whether cli cat may still approve was not checked: ")
    found, unchecked = reviewed(desk.ports.cluster, order(), (decision,), SETTINGS)
    assert (found[0].void, unchecked) == ("cli cat may not create approvals.irkit.dev any more", "")


def test_what_is_over_or_void_is_not_asked_again():
    class Nobody:
        """Not a cluster: nothing may be asked of it."""

    said = Decision(by=cli("cat"), yes=False, at="2026-11-22T03:00:00Z", digest=PLAN.digest)
    void = Decision(by=cli("cat"), yes=True, at="2026-11-22T03:00:00Z", digest=PLAN.digest, void="gone")
    chat = Decision(by=BOB, yes=True, at="2026-11-22T03:00:00Z", digest=PLAN.digest)
    assert reviewed(Nobody(), order(), (said, void, chat), SETTINGS) == ((said, void, chat), "")  # type: ignore[arg-type]


def test_cancelled_at_a_terminal(desk: Desk, tmp_path: Path):
    identifier = desk.submit()
    desk.until(identifier, "waiting")
    cat = person(desk, "cat@example.com", tmp_path / "cat", APPROVER)
    assert f"Order {identifier} is cancelled." in cat.run("order", "cancel", identifier).ended(0).stdout
    assert cat.run("order", "cancel", identifier).ended(8).stderr.startswith(f"8: order {identifier} can't be cancelled: it is declined")
    assert "declined:  cli cat@example.com" in cat.run("order", "show", identifier).ended(0).stdout
    assert "declined" in cat.run("order", "list", "--all").ended(0).stdout


def test_hostile_words_are_shown_escaped(desk: Desk, tmp_path: Path):
    by = Origin(door="slack", sender="U1", shown="ann\x1b[2J\n\u202e<!channel>", team="T1")
    identifier = desk.submit(by=by, because="pod \x1b]0;x\x07 \u200b")
    cat = person(desk, "cat@example.com", tmp_path / "cat", APPROVER)
    for words in (("order", "list"), ("order", "show", identifier)):
        said = cat.run(*words).ended(0).said
        assert not {"\x1b", "\x07", "\u202e", "\u200b"} & set(said)
