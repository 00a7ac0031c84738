"""From alerts to orders: one for one event, never more than the rule lets, whatever is restarted."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest

from irkit.adapters.kubernetes import connect
from irkit.adapters.orderfiles import OrderFiles
from irkit.app.orders.queue import compose, submit
from irkit.app.orders.rights import approving
from irkit.errors import UnreachableError
from irkit.listeners.web.formats import FORMATS
from irkit.listeners.web.limits import Shares
from irkit.listeners.web.ordering import Outcome
from irkit.listeners.web.report import document, lines
from irkit.listeners.web.rules import loader
from irkit.model.kube import DEPLOYMENTS, PODS, ObjectRef
from irkit.model.order import Held, Origin
from irkit.ports import Cluster
from irkit.sandbox import Sandbox
from irkit.settings import load
from irkit.settings.slack import SlackSettings
from tests.clocks import StepClock
from tests.web.desk import UID, World, configured, firing, serving, token_settings

HEAD = "apiVersion: irkit.dev/v1\nkind: Rules\nrules:\n"


def rules(*texts: str) -> str:
    return HEAD + "".join(f"  - {text}\n" for text in texts)


COLLECT = "{name: evidence, match: {source: am}, run: {command: collect}, deduplicate: 10m}"
CONTAIN = "{name: cut, match: {source: am}, run: {command: contain}, deduplicate: 1m, cool-down: 1h, limits: {per-hour: 3, never-in: ['prod-*']}}"


def decide(world: World, *messages: Any) -> list[Outcome]:
    alerts = [alert for message in messages for alert in FORMATS["alertmanager"]("am", msgspec.json.encode(message))]
    return asyncio.run(world.desk.decide(alerts, "prod"))


def again(world: World) -> World:
    """As after a restart: nothing is left but the queue."""
    return World(world.settings, clock=world.clock, cluster=world.cluster)


def pass_time(world: World, seconds: float) -> None:
    assert isinstance(world.clock, StepClock)
    world.clock.sleep(seconds)


def end(world: World, state: str = "done") -> None:
    """Whoever works on orders ends them all."""
    for held in world.held:
        changed = world.clock.now().isoformat()
        world.queue.update(held, msgspec.structs.replace(held.status, state=state, changed=changed))


def test_an_alert_becomes_an_order_that_says_why(tmp_path: Path) -> None:
    world = World(configured(tmp_path, rules(COLLECT)))
    (outcome,) = decide(world, firing())
    (held,) = world.held
    assert (outcome.order, outcome.new, world.woken) == (held.order.id, True, 1)
    assert (held.order.command, held.order.target, held.order.namespace) == ("collect", "backend-7c7c86686d-7l8d8", "todo-app")
    assert (held.order.rule, held.order.origin.sender, held.order.origin.shown) == ("evidence", "am", "prod")
    assert held.order.because == "am: ShellInContainer: ShellInContainer in backend-7c7c86686d-7l8d8"
    assert (held.order.needs, held.status.state) == ("nobody", "queued")


def test_containment_waits_for_somebody(tmp_path: Path) -> None:
    world = World(configured(tmp_path, rules(CONTAIN)))
    decide(world, firing())
    (held,) = world.held
    assert held.order.needs in ("one", "two")
    assert held.status.state == "planning"


def test_whom_the_playbook_names_approves_also_where_the_command_names_others(tmp_path: Path) -> None:
    slack = SlackSettings(approvers={"compromised-pod": ("leads",), "contain": ("others",)})
    world = World(msgspec.structs.replace(configured(tmp_path, rules(CONTAIN)), slack=slack))
    decide(world, firing())
    (held,) = world.held
    assert approving(held.order, world.settings) == ("leads",)


def test_a_burst_of_500_messages_for_one_pod_is_one_order(tmp_path: Path) -> None:
    with serving(World(configured(tmp_path, rules(COLLECT)))) as server, ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda number: server.post("am", firing(name=f"Alert{number % 7}")), range(500)))
        assert {answer.status for answer in answers} <= {200, 202}
        assert len({answer.document["order"] for answer in answers}) == 1
        assert len(server.world.held) == 1


def test_500_alerts_in_one_message_are_one_order(tmp_path: Path) -> None:
    world = World(configured(tmp_path, rules(COLLECT)))
    message = firing()
    message["alerts"] *= 500
    assert len({outcome.order for outcome in decide(world, message)}) == 1
    assert len(world.held) == 1


def test_two_replicas_make_one_order(tmp_path: Path) -> None:
    one = World(configured(tmp_path, rules(COLLECT)))
    other = again(one)
    one.seen.within(1.0)
    other.seen.within(1.0)  # both saw an empty queue
    assert decide(one, firing())[0].order == decide(other, firing())[0].order
    assert len(one.held) == 1


def test_what_two_replicas_order_at_the_same_moment_is_not_more_than_the_rule_lets(tmp_path: Path) -> None:
    one = World(configured(tmp_path, rules(CONTAIN)))
    other = again(one)
    other.seen.within(1.0)  # saw an empty queue
    assert all(o.new for o in decide(one, *(firing(f"pod-{number}") for number in range(3))))
    (late,) = decide(other, firing("pod-9"))
    assert (late.order, late.retry_after) == ("", 10)
    assert "both are too many" in late.error
    assert sorted(h.order.target for h in one.held) == ["pod-0", "pod-1", "pod-2"]


@pytest.mark.parametrize("before", [599.0, 1.0])
def test_a_burst_across_the_edge_of_a_window_is_one_order(tmp_path: Path, before: float) -> None:
    world = World(configured(tmp_path, rules(COLLECT)))
    pass_time(world, 600 - world.clock.now().timestamp() % 600 + 600 - before)  # so long before the next window begins
    first = decide(world, firing())[0].order
    end(world)
    pass_time(world, before + 0.5)
    assert decide(again(world), firing())[0].order == first
    pass_time(world, 600.0)
    assert decide(again(world), firing())[0].order != first


def test_while_an_order_is_open_there_is_no_other(tmp_path: Path) -> None:
    world = World(configured(tmp_path, rules(COLLECT), orders={"lifetime": 86400}))
    first = decide(world, firing())[0].order
    pass_time(world, 7200.0)
    assert decide(again(world), firing())[0].order == first


def test_after_its_end_a_rule_cools_down_for_that_target_alone(tmp_path: Path) -> None:
    world = World(configured(tmp_path, rules(CONTAIN)))
    decide(world, firing("pod-a"))
    pass_time(world, 120.0)
    end(world)
    pass_time(world, 1800.0)
    late, other = decide(again(world), firing("pod-a"), firing("pod-b"))
    assert "was over 1800 s ago; the rule waits 3600 s" in late.ignored
    assert other.new
    pass_time(world, 1900.0)
    assert decide(again(world), firing("pod-a"))[0].new


def test_a_rule_orders_so_often_in_an_hour_and_no_more(tmp_path: Path) -> None:
    world = World(configured(tmp_path, rules(CONTAIN)))
    found = decide(world, *(firing(f"pod-{number}") for number in range(5)))
    assert [bool(o.order) for o in found] == [True, True, True, False, False]
    assert found[3].ignored == "the rule made 3 orders within the last hour, which is its limit"
    assert not decide(again(world), firing("pod-9"))[0].order, "after a restart, too"
    pass_time(world, 3601.0)
    end(world, "expired")
    assert decide(again(world), firing("pod-9"))[0].order


def test_a_rule_orders_nothing_where_it_must_not(tmp_path: Path) -> None:
    world = World(configured(tmp_path, rules(CONTAIN)))
    (never, protected) = decide(world, firing(namespace="prod-eu"), firing(namespace="kube-system"))
    assert never.ignored == "the rule orders nothing in namespace prod-eu"
    assert "namespace kube-system is protected" in protected.ignored
    assert world.held == []


@pytest.mark.parametrize(("message", "why"), [
    (firing(pod="", deployment=""), "names no pod"), (firing(namespace=""), "names no namespace"), (firing(pod="../../etc"), "names no pod"),
    (firing(pod="x\ny"), "names no pod"), (firing(namespace="${alert.pod}"), "names no namespace"),
])  # fmt: skip
def test_an_alert_that_names_nothing_is_ignored_with_a_sentence(tmp_path: Path, message: Any, why: str) -> None:
    world = World(configured(tmp_path, rules(COLLECT)))
    assert why in decide(world, message)[0].ignored
    assert world.held == []


def test_values_of_an_alert_are_put_in_once_and_judged_by_type(tmp_path: Path) -> None:
    text = "{name: own, match: {source: am}, run: {playbook: compromised-node, target: '${alert.node}'}}"
    world = World(configured(tmp_path, rules(text)))
    named, hostile = decide(world, firing(node="node-1"), firing(node="${alert.pod}"))
    assert named.new
    assert world.held[0].order.target == "node-1"
    assert "nothing is bound to ${alert.node}" in hostile.ignored


def test_a_full_queue_says_when_to_come_again(tmp_path: Path) -> None:
    with serving(World(configured(tmp_path, rules(COLLECT), orders={"most-open": 3}))) as server:
        answers = [server.post("am", firing(f"pod-{number}")) for number in range(3)]
        assert [a.status for a in answers] == [202, 202, 503]
        assert answers[2].headers["retry-after"] == "30"
        assert answers[2].document["error"] == "2 orders of alerts are open already, as many as may be: the rest of the queue is for people"
        assert server.world.lines[-1]["result"] == "unavailable"
        server.world.queue.remove(server.world.held[0])
        assert server.post("am", firing("pod-3")).status == 503, "a second long it is not asked again"
        assert server.post("am", firing("pod-1")).status == 200, "what is there already is answered all the same"
        pass_time(server.world, 1.5)
        assert server.post("am", firing("pod-3")).status == 202


class Out(OrderFiles):
    """A queue whose cluster does not answer."""

    def list(self) -> Sequence[Held]:
        raise UnreachableError("https://10.0.0.1:6443 does not answer")


def test_a_queue_that_is_out_is_503_and_back_again_is_not(tmp_path: Path) -> None:
    settings = configured(tmp_path, rules(COLLECT))
    queue = Out(tmp_path / "queue", 10)
    with serving(World(settings, orders=queue)) as server:
        answer = server.post("am", firing())
        assert (answer.status, answer.headers["retry-after"]) == (503, "10")
        assert "does not answer" in answer.document["error"]
        assert "irkit_queue_up 0" in server.ask("GET", "/metrics").text


def test_a_dry_run_orders_nothing_and_is_in_the_report(tmp_path: Path) -> None:
    dry = CONTAIN.replace("name: cut", "name: new-rule, dry-run: true")
    with serving(World(configured(tmp_path, rules(dry)))) as server:
        for pod in ("pod-a", "pod-a", "pod-b"):
            answer = server.post("am", firing(pod))
            assert (answer.status, answer.document["ignored"]) == (200, "the rule is a dry run")
        world = server.world
        assert 'irkit_rule_dry_run_matches_total{rule="new-rule"} 3' in server.ask("GET", "/metrics").text
    assert all(held.status.over for held in world.held), "nobody carries them out"
    report = document(again(world).held, 7, world.clock.now(), world.settings.orders.kept)
    assert report["complete"]
    (rule,) = report["rules"]
    assert (rule["rule"], rule["what"], rule["orders"]) == ("new-rule", "contain", 2)
    assert [target["target"] for target in rule["targets"]] == ["todo-app/pod-a", "todo-app/pod-b"]
    text = "\n".join(lines(report))
    assert "new-rule: contain, 2 times, after " in text
    assert "pod-b" in text
    pass_time(world, 8 * 86400.0)
    assert document(world.held, 7, world.clock.now(), world.settings.orders.kept)["rules"] == []


def test_a_report_of_nothing_says_so() -> None:
    report = document([], 30, StepClock().now(), 604800.0)
    assert not report["complete"]
    text = "\n".join(lines(report))
    assert "No rule in dry run matched anything." in text
    assert "the queue keeps records for a shorter time" in text


SHARE = "{name: cut, match: {source: am}, run: {command: contain}, deduplicate: 1m, limits: {per-hour: 100, percent-of-workload: 40}}"


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """The sandbox, its Deployment backend with five pods."""
    with Sandbox("todo-app", home=tmp_path / "box") as box:
        connected = connect(load({"KUBECONFIG": str(box.kubeconfig), "HOME": str(tmp_path)}))
        with contextlib.closing(connected):
            connected.patch(ObjectRef(resource=DEPLOYMENTS, name="backend", namespace="todo-app"), {"spec": {"replicas": 5}})
            backends(connected, 5)
            yield connected


def backends(cluster: Cluster, count: int) -> list[str]:
    """The names of the Deployment's pods, once there are so many."""
    until = time.monotonic() + 20
    while len(found := [p["metadata"]["name"] for p in cluster.list(PODS, "todo-app", labels="app=backend")]) != count:
        assert time.monotonic() < until, found
        time.sleep(0.05)
    return found


def test_a_part_of_a_workload_and_no_more(tmp_path: Path, cluster: Cluster) -> None:
    world = World(configured(tmp_path, rules(SHARE)), cluster=cluster)
    pods = backends(cluster, 5)
    found = decide(world, *(firing(pod) for pod in pods[:3]))
    assert [bool(o.order) for o in found] == [True, True, False], "of five, two are 40 %"
    assert found[2].ignored == "3 of 5 pods of Deployment todo-app/backend would be more than 40 %"
    assert decide(world, firing(pods[0]))[0].order == found[0].order
    assert not decide(again(world), firing(pods[4]))[0].order


def test_a_pod_that_was_cut_off_and_is_its_workloads_no_more_still_counts(tmp_path: Path, cluster: Cluster) -> None:
    world = World(configured(tmp_path, rules(SHARE)), cluster=cluster)
    pods = backends(cluster, 5)
    assert [bool(o.order) for o in decide(world, *(firing(pod) for pod in pods[:2]))] == [True, True]
    for pod in pods[:2]:  # as `quarantine` does; others start in their place
        cluster.patch(ObjectRef(resource=PODS, name=pod, namespace="todo-app"), {"metadata": {"labels": {"app": None, "pod-template-hash": None}}})
    end(world)
    (fresh, *_) = set(backends(cluster, 5)) - set(pods)
    assert "3 of 5 pods" in decide(again(world), firing(fresh))[0].ignored


def test_what_others_ordered_counts_and_what_nobody_wanted_does_not(tmp_path: Path, cluster: Cluster) -> None:
    world = World(configured(tmp_path, rules(SHARE)), cluster=cluster)
    pods, clock = backends(cluster, 5), world.clock
    for pod in pods[:2]:
        origin = Origin(door="slack", sender="U1")
        submit(world.queue, compose(pod, origin, "contain", pod, "todo-app", cluster=UID, clock=clock, settings=world.settings), clock)
    assert "3 of 5 pods" in decide(world, firing(pods[2]))[0].ignored
    end(world, "declined")
    assert decide(again(world), firing(pods[2]))[0].order


def test_a_pod_that_is_not_there_is_of_no_workload(tmp_path: Path, cluster: Cluster) -> None:
    world = World(configured(tmp_path, rules(SHARE)), cluster=cluster)
    assert "backend-gone" in decide(world, firing("backend-gone"))[0].ignored
    assert world.held == []


def test_a_workload_as_target_is_all_of_it(tmp_path: Path) -> None:
    settings = configured(tmp_path, rules(SHARE))
    (rule,) = loader.load(settings)
    shares = Shares(World(settings).cluster, StepClock())
    assert "deployment/backend is all of them" in shares.many(rule, "todo-app", "deployment/backend", [])


DRY = CONTAIN.replace("name: cut", "name: cut, dry-run: true")


def test_what_a_dry_run_recorded_holds_nothing_up_when_it_is_none_any_more(tmp_path: Path) -> None:
    """Neither as the same alert, nor by cool-down, nor by the hour."""
    dry = World(configured(tmp_path, rules(DRY)))
    assert all(o.dry_run for o in decide(dry, *(firing(f"pod-{number}") for number in range(3))))
    with serving(World(configured(tmp_path, rules(CONTAIN)), clock=dry.clock)) as server:
        answers = [server.post("am", firing(f"pod-{number}")) for number in range(4)]
        assert [a.status for a in answers] == [202, 202, 202, 200]
        assert "its limit" in answers[3].document["ignored"]
        assert [h.status.state for h in server.world.held if not h.recorded] == ["planning"] * 3


def test_what_a_dry_run_recorded_is_no_part_of_a_workload(tmp_path: Path, cluster: Cluster) -> None:
    dry = World(configured(tmp_path, rules(SHARE.replace("name: cut", "name: other, dry-run: true"))), cluster=cluster)
    pods = backends(cluster, 5)
    assert [o.dry_run for o in decide(dry, *(firing(pod) for pod in pods[:3]))] == [True, True, False], "a dry run keeps to its own limits"
    world = World(configured(tmp_path, rules(SHARE)), clock=dry.clock, cluster=cluster)
    assert decide(world, firing(pods[4]))[0].new


def test_alerts_leave_room_in_the_queue_for_people(tmp_path: Path) -> None:
    world = World(configured(tmp_path, rules(COLLECT), orders={"most-open": 8}))
    found = decide(world, *(firing(f"pod-{number}") for number in range(8)))
    assert [bool(o.order) for o in found] == [True] * 6 + [False] * 2
    assert "the rest of the queue is for people" in found[6].error
    for number in range(2):
        origin = Origin(door="slack", sender="U1")
        order = compose(f"{number}", origin, "contain", f"pod-{number}", "todo-app", cluster=UID, clock=world.clock, settings=world.settings)
        assert submit(world.queue, order, world.clock)[1]


NODE = "{name: node, match: {source: am}, run: {playbook: compromised-node}, deduplicate: 1m, cool-down: 1h, limits: {never-in: [payments]}}"


def test_a_node_is_one_target_whatever_namespace_the_alert_names(tmp_path: Path) -> None:
    world = World(configured(tmp_path, rules(NODE)))
    found = decide(world, *(firing(namespace=f"space-{number}", node="node-1") for number in range(3)))
    assert len({o.order for o in found}) == 1
    assert "orders nothing in namespace payments" in decide(world, firing(namespace="payments", node="node-2"))[0].ignored


def test_a_namespace_as_target_is_the_one_that_limits_are_about(tmp_path: Path) -> None:
    text = "{name: fixed, match: {source: am}, run: {playbook: scheduled-rotation, target: TARGET}, limits: {never-in: [payments]}}"
    never = decide(World(configured(tmp_path, rules(text.replace("TARGET", "payments")))), firing())[0]
    assert "orders nothing in namespace payments" in never.ignored
    protected = decide(World(configured(tmp_path, rules(text.replace("TARGET", "kube-system")))), firing())[0]
    assert "protected" in protected.ignored


def test_a_workload_is_one_target_however_its_kind_is_written(tmp_path: Path) -> None:
    mapping = {"fields": {"name": "/name", "namespace": "/ns", "workload": "/of"}}
    text = CONTAIN.replace("source: am", "source: own")
    settings = configured(tmp_path, rules(text), {"own": token_settings(format="json", mapping=mapping)})
    with serving(World(settings)) as server:
        kinds = ("deployment", "Deployment", "deploy", "deployments")
        answers = [server.post("own", {"name": "x", "ns": "todo-app", "of": f"{kind}/backend"}) for kind in kinds]
        assert len({a.document["order"] for a in answers}) == 1
