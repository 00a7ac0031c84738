"""The queue: the same contract on this machine, in the rehearsal cluster, and in a real control plane."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest

from irkit import settings as loading
from irkit import wiring
from irkit.adapters.clock import SystemClock
from irkit.adapters.kubernetes import connect
from irkit.adapters.orderfiles import OrderFiles
from irkit.adapters.ordermaps import OrderMaps
from irkit.app.orders import queue as queues
from irkit.errors import ConflictError, QueueFullError, RefusedError, UsageError
from irkit.model.kube import CONFIGMAPS, NAMESPACES, ObjectRef
from irkit.model.order import SYSTEM_NAMESPACE, Order, Origin, Status, identifier
from irkit.ports.orders import Orders
from irkit.settings import Settings
from tests.clocks import StepClock
from tests.controlplane.running import Running
from tests.orders.desk import Desk
from tests.orders.words import order

FIRST = Status(state="planning", changed="2026-11-22T03:00:00Z")
MOST = 5
REAL = pytest.param("kubernetes", marks=pytest.mark.controlplane)


@pytest.fixture(params=["machine", "sandbox", REAL])
def queue(request: pytest.FixtureRequest, tmp_path: Path) -> Orders:
    if request.param == "machine":
        return OrderFiles(tmp_path / "orders", MOST)
    if request.param == "sandbox":
        return OrderMaps(request.getfixturevalue("desk").ports.cluster, MOST, SystemClock())
    plane: Running = request.getfixturevalue("system")
    plane.kubectl("delete", "configmap", "-n", SYSTEM_NAMESPACE, "-l", "irkit.dev/order")
    kubeconfig = plane.token_kubeconfig
    return OrderMaps(connect(loading.load({"KUBECONFIG": str(kubeconfig), "HOME": str(tmp_path)})), MOST, SystemClock())


def test_an_order_is_taken_once_whatever_became_of_it(queue: Orders):
    held = queue.add(order("a"), FIRST)
    assert held
    assert queue.add(order("a"), FIRST) is None
    over = queue.update(held, msgspec.structs.replace(FIRST, state="done"))
    assert queue.add(order("a"), FIRST) is None
    assert queue.get(held.order.id) == over
    queue.remove(over)
    queue.remove(over)
    assert queue.add(order("a"), FIRST) is not None


def test_what_was_put_in_comes_out(queue: Orders):
    given = order("a", because="“Ünïcode” and\ttabs", parameters={"image": "x"}, take=("logs",))
    held = queue.add(given, FIRST)
    assert held
    assert held.order == given
    assert queue.get(given.id) == held
    assert list(queue.list()) == [held]


def test_an_update_of_what_was_changed_meanwhile_is_refused(queue: Orders):
    held = queue.add(order("a"), FIRST)
    assert held
    after = queue.update(held, msgspec.structs.replace(FIRST, note="one"))
    with pytest.raises(ConflictError):
        queue.update(held, msgspec.structs.replace(FIRST, note="two"))
    assert queue.get(held.order.id) == after
    assert queue.update(after, msgspec.structs.replace(FIRST, note="three")).status.note == "three"


def test_the_oldest_comes_first(queue: Orders):
    for key, created in (("b", "2026-11-22T03:00:02Z"), ("c", "2026-11-22T03:00:01Z"), ("a", "2026-11-22T03:00:03Z")):
        queue.add(order(key, created=created), FIRST)
    assert [h.order.created[17:19] for h in queue.list()] == ["01", "02", "03"]


def test_what_ends_is_listed_as_it_is_and_what_was_removed_is_not(queue: Orders):
    kept, gone = (queue.add(order(key), FIRST) for key in ("kept", "gone"))
    assert kept
    assert gone
    assert {h.status.state for h in queue.list()} == {"planning"}
    over = queue.update(kept, msgspec.structs.replace(FIRST, state="done"))
    queue.remove(gone)
    assert list(queue.list()) == [over]
    queue.remove(over)
    assert list(queue.list()) == []


def test_orders_that_are_over_are_listed_rarely(desk: Desk):
    """They are kept for days, and the leader looks at the queue four times a second."""
    clock = StepClock()
    queue, other = (OrderMaps(desk.ports.cluster, MOST, clock) for _ in range(2))
    assert list(queue.list()) == []
    held = other.add(order("short"), FIRST)
    assert held
    over = other.update(held, msgspec.structs.replace(FIRST, state="done"))  # begun and ended between two looks
    assert list(queue.list()) == []
    clock.sleep(6)
    assert list(queue.list()) == [over]


def test_it_is_bounded_and_what_is_over_does_not_count(queue: Orders):
    held = [queue.add(order(str(n)), FIRST) for n in range(MOST)]
    with pytest.raises(QueueFullError, match="5 orders are open already; this one was not taken"):
        queue.add(order("more"), FIRST)
    assert queue.add(order("0"), FIRST) is None, "what is known is no error"
    assert held[0]
    queue.update(held[0], msgspec.structs.replace(FIRST, state="done"))
    assert queue.add(order("more"), FIRST) is not None


@pytest.mark.parametrize("name", ["", "nothing", "../../etc/passwd", "a" * 400, "ABC", "é", "x/../y", "lock", "\x1b[31m"])
def test_an_id_that_is_none(queue: Orders, name: str):
    with pytest.raises(UsageError, match="there is no order") as caught:
        queue.get(name)
    assert "\x1b" not in caught.value.message


def test_an_update_of_what_is_gone_is_an_error_of_ours(queue: Orders):
    held = queue.add(order("a"), FIRST)
    assert held
    queue.remove(held)
    with pytest.raises(Exception) as caught:  # noqa: PT011 -- either will do
        queue.update(held, FIRST)
    assert type(caught.value).__name__ in ("ConflictError", "NotFoundError")


def test_amending_goes_on_though_others_do_too(queue: Orders):
    queue.add(order("a"), FIRST)

    def count(number: int) -> None:
        for _ in range(5):
            queues.amend(queue, identifier("a"), lambda h: msgspec.structs.replace(h.status, attempts=h.status.attempts + 1))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(count, range(4)))
    assert queue.get(identifier("a")).status.attempts == 20


def test_who_adds_at_once_makes_one_order(queue: Orders):
    ready = threading.Barrier(10)

    def add(number: int) -> bool:
        ready.wait()
        return queues.submit(queue, order("a"), StepClock())[1]

    with ThreadPoolExecutor(10) as pool:
        new = [*pool.map(add, range(10)), *pool.map(add, range(40, 50))]
    assert new.count(True) == 1
    assert len(queue.list()) == 1


def _add(directory: str, done: Any) -> None:
    queue = OrderFiles(Path(directory), 10)
    done.put([queues.submit(queue, order("a"), StepClock())[1] for _ in range(10)])


def test_five_processes_and_fifty_times_make_one_order(tmp_path: Path):
    started = multiprocessing.get_context("spawn")
    done = started.Queue()
    processes = [started.Process(target=_add, args=(str(tmp_path / "orders"), done)) for _ in range(5)]
    for process in processes:
        process.start()
    new = [answer for _ in processes for answer in done.get(timeout=60)]
    for process in processes:
        process.join(10)
    assert (len(new), new.count(True)) == (50, 1)


# what others may write


def status(text: str) -> Callable[[dict[str, Any]], object]:
    return lambda o: o["data"].update({"status.json": text})


GARBAGE: dict[str, Callable[[dict[str, Any]], object]] = {
    "no data": lambda o: o.pop("data"),
    "no JSON": lambda o: o["data"].update({"order.json": "{"}),
    "no order": lambda o: o["data"].pop("order.json"),
    "a list": status("[]"),
    "a state that there is not": status('{"state":"x"}'),
    "unknown fields": status('{"state":"queued","changed":"2026-11-22T03:00:00Z","worker":"","more":1}'),
    "a time that is none": status('{"state":"queued","changed":"tomorrow"}'),
    "a time without a zone": status('{"state":"done","changed":"2026-11-22T03:00:00"}'),
    "less than none": status('{"state":"queued","changed":"2026-11-22T03:00:00Z","attempts":-1}'),
    "an incident that is a path": status('{"state":"queued","changed":"2026-11-22T03:00:00Z","incident":"../../x"}'),
    "more than there can be": status('{"state":"queued","changed":"2026-11-22T03:00:00Z","attempts":5000000}'),
    "an expiry that is none": lambda o: o["data"].update({"order.json": o["data"]["order.json"].replace("2026-11-22T04:00:00+00:00", "never")}),
    "another's name": lambda o: o["metadata"].update(name="irkit-order-zzzzzzzzzzzz"),
}


@pytest.mark.parametrize("how", list(GARBAGE))
def test_maps_that_irkit_never_writes_are_passed_over(how: str, desk: Desk):
    cluster = desk.ports.cluster
    good, bad = desk.submit("collect"), order("bad")
    desk.queue.add(bad, FIRST)
    ref = ObjectRef(resource=CONFIGMAPS, name=f"irkit-order-{bad.id}", namespace=SYSTEM_NAMESPACE)
    found = cluster.get(ref)
    cluster.delete(ref)
    body = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {k: found["metadata"][k] for k in ("name", "namespace", "labels")},
        "data": found["data"],
    }
    GARBAGE[how](body)
    cluster.create(CONFIGMAPS, body)
    assert [h.order.id for h in desk.queue.list()] == [good]
    with pytest.raises(UsageError):
        desk.queue.get(bad.id)
    assert desk.over(good).status.state == "done", "the others go on"


def test_files_that_irkit_never_writes_are_passed_over(tmp_path: Path):
    queue = OrderFiles(tmp_path, 10)
    held = queue.add(order("a"), FIRST)
    for name, content in (
        ("x.json", b"{"),
        ("y.json", b"\xff"),
        ("z.new", b""),
        (f"{identifier('b')}.json", (tmp_path / f"{identifier('a')}.json").read_bytes()),
    ):
        (tmp_path / name).write_bytes(content)
    assert list(queue.list()) == [held]


def test_a_home_that_can_not_be_written(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RefusedError, match="can't be written"):
        OrderFiles(tmp_path / "file" / "orders", 10).add(order(), FIRST)


def test_files_are_for_their_owner(tmp_path: Path):
    OrderFiles(tmp_path / "home" / "orders", 10).add(order("a"), FIRST)
    assert (tmp_path / "home" / "orders").stat().st_mode & 0o777 == 0o700
    assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "home" / "orders").iterdir())


# what is taken in


def compose(target: str = "web", namespace: str = "shop", **more: Any) -> Order:
    how: dict[str, Any] = {"by": Origin(door="slack", sender="U1"), "command": "contain", "key": "k", **more}
    return queues.compose(
        how.pop("key"), how.pop("by"), how.pop("command"), target, namespace, cluster="uid", clock=StepClock(), settings=Settings(), **how
    )


def test_the_id_is_the_events_own():
    assert compose(key="a").id == compose(key="a", target="other").id != compose(key="b").id
    assert len(compose(key="a").id) == 12


@pytest.mark.parametrize("target", ["", "-A", "--all", "a b", "a;b", "../x", "a\nb", "x" * 300, "${pod}", "<!channel>", "pod/", "deployment/a/b"])
def test_what_names_no_target_is_not_taken(target: str):
    with pytest.raises(UsageError):
        compose(target)


@pytest.mark.parametrize("namespace", ["", "A B", "../x", "a\nb", "--all"])
def test_what_names_no_namespace_is_not_taken(namespace: str):
    with pytest.raises(UsageError):
        compose(namespace=namespace)


def test_protected_namespaces_are_nobodys_to_order():
    for namespace in ("kube-system", "irkit-system"):
        with pytest.raises(RefusedError, match="is protected: nobody can order anything there"):
            compose(namespace=namespace)


def test_what_was_reported_is_one_short_line():
    said = compose(because="a\nb\x1b[31m" + "x" * 5000).because
    assert "\n" not in said
    assert "\x1b" not in said
    assert len(said) <= 400


@pytest.mark.parametrize(("given", "needs"), [
    ({"command": "collect"}, "nobody"), ({"command": "contain"}, "one"), ({"command": "contain", "needs": "two"}, "two"),
    ({"command": "contain", "needs": "nobody"}, "one"), ({"command": "respond", "playbook": "compromised-pod"}, "two"),
    ({"command": "respond", "playbook": "compromised-pod", "phase": "containment"}, "one"),
    ({"command": "respond", "playbook": "compromised-pod", "phase": "containment,eradication"}, "two"),
    ({"command": "respond", "playbook": "compromised-service-account", "phase": "containment"}, "two"),
    ({"command": "respond", "playbook": "isolate-only"}, "one"),
])  # fmt: skip
def test_how_many_people_it_takes(given: dict[str, Any], needs: str):
    assert compose(**given).needs == needs


def test_the_queue_is_where_the_settings_say(desk: Desk):
    assert desk.queue.where == "namespace irkit-system"
    machine = msgspec.structs.replace(desk.configured, orders=msgspec.structs.replace(desk.configured.orders, queue="machine"))
    assert wiring.orders(machine, desk.ports.cluster).where == "this machine"


def test_without_the_namespace_the_queue_is_on_this_machine(alone: Desk):
    assert alone.queue.where == "this machine"
    with pytest.raises(Exception, match="not found"):
        alone.ports.cluster.get(ObjectRef(resource=NAMESPACES, name=SYSTEM_NAMESPACE))
