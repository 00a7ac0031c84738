"""The pod under quarantine is kept from autoscalers and drains, after the verdict, and as far as one may; a lift gives all back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from irkit.adapters.kubernetes import connect
from irkit.app import lift as lifting
from irkit.app.doctor import examine
from irkit.app.respond import respond
from irkit.app.verify import verify
from irkit.engine import library, rights
from irkit.engine.events import ChangeEnded, Planned
from irkit.errors import ApiError, ForbiddenError, IrkitError, UnreachableError
from irkit.model.changes import Create
from irkit.model.kube import PDBS, PODS, Obj, ObjectRef, annotations_of, at, labels_of, ref_of
from irkit.model.outcome import Skipped
from irkit.ports import Ports
from irkit.settings import Settings
from tests.contracts.client import Api
from tests.engine.harness import Bench, bench

EVICTABLE = "cluster-autoscaler.kubernetes.io/safe-to-evict"


def suspect(b: Bench) -> ObjectRef:
    namespace, name = b.box.suspect
    return ObjectRef(resource=PODS, name=name, namespace=namespace)


def budgets(b: Bench, namespace: str = "todo-app") -> list[Obj]:
    return [o for o in b.ports.cluster.list(PDBS, namespace) if o["metadata"]["name"].startswith("irkit-")]


def evict(b: Bench, pod: ObjectRef) -> str:
    """What the API server says to `kubectl drain`; empty: the pod goes."""
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod.name, "namespace": pod.namespace}}
    reply = Api(b.box.kubeconfig, b.home).send("POST", PODS.path(pod.namespace, pod.name, "eviction"), body)
    return "" if reply.status == 201 else str(reply.json["message"])


@contextmanager
def limited(b: Bench, *without: str) -> Iterator[Ports]:
    """Somebody who may do what `irkit playbook rbac` prints, but nothing with these resources."""
    for role in rights.manifests(rights.least(library.find("compromised-pod", Settings()), "containment", "todo-app"), "oncall", "todo-app"):
        rules = [{**rule, "resources": left} for rule in role["rules"] if (left := [r for r in rule["resources"] if r not in without])]
        meta, kind = role["metadata"], role["kind"]
        group = "rbac.authorization.k8s.io"
        b.box.store.add({**role, "rules": rules})
        b.box.store.add({"apiVersion": role["apiVersion"], "kind": f"{kind}Binding", "metadata": dict(meta),
                         "roleRef": {"apiGroup": group, "kind": kind, "name": meta["name"]},
                         "subjects": [{"kind": "User", "apiGroup": group, "name": "oncall"}]})  # fmt: skip
    mine = msgspec.structs.replace(b.ports.settings, kubeconfig=str(b.box.token_for("oncall")))
    cluster = connect(mine, {})
    try:
        yield msgspec.structs.replace(b.ports, cluster=cluster, connection=cluster, settings=mine)
    finally:
        cluster.close()


def told(b: Bench) -> list[str]:
    return [e.outcome.why for e in b.events if isinstance(e, ChangeEnded) and isinstance(e.change, Create) and isinstance(e.outcome, Skipped)]


def test_a_drain_and_an_autoscaler_leave_the_kept_pod_alone(tmp_path):
    with bench(tmp_path) as b:
        assert respond(b.ports, b.request()).exit_code == 0
        pod = b.ports.cluster.get(suspect(b))
        assert annotations_of(pod)[EVICTABLE] == "false"
        (budget,) = budgets(b)
        assert budget["spec"]["selector"] == {"matchLabels": labels_of(pod)}, "the incident's labels, and nothing else"
        assert labels_of(budget)["irkit.dev/incident"] == b.state().incident.short
        assert "disruption budget" in evict(b, suspect(b))
        assert at(b.ports.cluster.get(suspect(b)), ("metadata", "deletionTimestamp")) is None


def test_a_pod_that_is_not_ready_any_more_is_not_evicted_either(tmp_path):
    """A probe fails once the network is cut."""
    with bench(tmp_path) as b:
        respond(b.ports, b.request())
        unready = {"status": {"conditions": [{"type": "Ready", "status": "False"}]}}
        b.ports.cluster.patch(suspect(b), unready, subresource="status")
        assert "disruption budget" in evict(b, suspect(b))


def test_the_way_to_the_verdict_has_not_one_request_more(tmp_path):
    with bench(tmp_path) as b:
        b.approver.interactive = False
        respond(b.ports, b.request())
        asked = [(e["verb"], at(e, ("objectRef", "resource")), "dryRun" in e["requestURI"]) for e in b.box.audit]
        cut = asked.index(("patch", "pods", False))
        assert not [a for a in asked[: cut + 1] if a[1] == "poddisruptionbudgets"]
        reviewed = [str(e.get("requestObject")) for e in b.box.audit[: cut + 1] if "accessreviews" in e["requestURI"]]
        assert not [r for r in reviewed if "poddisruptionbudgets" in r]
        written = [at(e, ("objectRef", "resource")) for e in b.writes()]
        assert written[:3] == ["networkpolicies", "pods", "poddisruptionbudgets"]
        verdict = next(i for i in b.state().intents.values() if i.change.__struct_config__.tag == "check")
        budget = next(i for i in b.state().intents.values() if isinstance(i.change, Create) and i.change.optional)
        assert list(b.state().intents).index(verdict.call) < list(b.state().intents).index(budget.call)


@pytest.mark.parametrize("before", [None, "true", "false"])
def test_a_lift_that_returns_the_pod_gives_its_word_back(tmp_path, before):
    with bench(tmp_path) as b:
        if before:
            b.ports.cluster.patch(suspect(b), {"metadata": {"annotations": {EVICTABLE: before}}})
        respond(b.ports, b.request())
        assert lifting.lift(b.ports, None, "return").exit_code == 0
        assert annotations_of(b.ports.cluster.get(suspect(b))).get(EVICTABLE) == before
        assert budgets(b) == []


def test_a_lift_that_keeps_the_pod_keeps_its_budget_and_one_that_deletes_it_does_not(tmp_path):
    with bench(tmp_path) as b:
        respond(b.ports, b.request())
        assert lifting.lift(b.ports, None, "keep").exit_code == 0
        assert "disruption budget" in evict(b, suspect(b))
        assert lifting.lift(b.ports, None, "delete").exit_code == 0
        assert budgets(b) == []


def test_who_may_make_no_budget_contains_all_the_same_and_is_told_in_one_line(tmp_path):
    with bench(tmp_path) as b, limited(b, "poddisruptionbudgets") as ports:
        result = respond(ports, b.request())
        assert result.exit_code == 0
        assert (result.isolation or {})["verdict"] == "isolated"
        assert budgets(b) == []
        assert [line for line in told(b) if "nothing keeps drains from evicting it" in line] == told(b)
        assert len(told(b)) == 1
        (planned,) = [e for e in b.events if isinstance(e, Planned)]
        assert [w for w in planned.header.warnings if "poddisruptionbudgets" in w] == [
            "you may not create poddisruptionbudgets.policy in todo-app: nothing keeps drains from evicting it"]  # fmt: skip
        cut = next(s for s in result.steps if s.id == "cut-network")
        assert [c["outcome"] for c in cut.changes if c["object"]["kind"] == "PodDisruptionBudget"] == ["skipped"]
        assert verify(ports, None, "", "").exit_code == 0, "it is no part of what is proved"
        asked = len(b.approver.asked)
        again = respond(ports, b.request())
        assert (again.exit_code, again.incident) == (0, result.incident)
        assert (len(told(b)), len(b.approver.asked)) == (1, asked), "not tried again by who may not, nor asked about"
        assert lifting.lift(ports, None, "return").exit_code == 0


def test_doctor_notes_that_one_may_make_no_budget(tmp_path):
    with bench(tmp_path) as b, limited(b, "poddisruptionbudgets") as ports:
        (found,) = [f for f in examine(ports.settings, lambda: ports, "todo-app") if f.name == "rights"]
        assert (found.level, found.exit_code) == ("note", 0)
        assert "create poddisruptionbudgets.policy in todo-app" in found.text


def test_who_may_by_then_makes_it_in_the_next_run(tmp_path):
    with bench(tmp_path) as b:
        with limited(b, "poddisruptionbudgets") as ports:
            respond(ports, b.request())
        assert respond(b.ports, b.request()).exit_code == 0
        assert len(budgets(b)) == 1
        assert lifting.lift(b.ports, None, "return").exit_code == 0
        assert budgets(b) == []


class NoBudgets:
    """A cluster that answers a new budget with this, whatever rights one has; ``made``: though it makes it."""

    def __init__(self, cluster: Any, error: IrkitError, *, made: bool = False) -> None:
        self._cluster, self._error, self._made = cluster, error, made

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cluster, name)

    def create(self, resource: Any, obj: Obj, **how: Any) -> Obj:
        if resource != PDBS or self._made:
            found: Obj = self._cluster.create(resource, obj, **how)
        if resource == PDBS:
            raise self._error
        return found


@pytest.mark.parametrize("error", [
    ApiError("failed calling webhook: no endpoints available", status=500),
    ForbiddenError("exceeded quota: budgets, requested: 1, used: 0, limited: 0"),
    UnreachableError("https://127.0.0.1:6443 can't answer now (503): failed calling webhook. (18 tries)"),
], ids=["webhook", "quota", "busy"])  # fmt: skip
def test_a_cluster_that_takes_no_budget_stops_no_containment(tmp_path, error):
    with bench(tmp_path) as b:
        ports = msgspec.structs.replace(b.ports, cluster=NoBudgets(b.ports.cluster, error))
        assert respond(ports, b.request()).exit_code == 0
        assert told(b) == [f"not done, so nothing keeps drains from evicting it: {error.message}"]
        assert lifting.lift(b.ports, None, "return").exit_code == 0


def test_a_budget_whose_answer_was_lost_is_lifted_too(tmp_path):
    with bench(tmp_path) as b:
        ports = msgspec.structs.replace(b.ports, cluster=NoBudgets(b.ports.cluster, UnreachableError("no answer"), made=True))
        assert respond(ports, b.request()).exit_code == 0
        assert (told(b), len(budgets(b))) == ([], 1), "it was found to be there"
        assert lifting.lift(b.ports, None, "return").exit_code == 0
        assert budgets(b) == []


def test_a_budget_that_somebody_deleted_comes_back_in_the_next_run(tmp_path):
    with bench(tmp_path) as b:
        respond(b.ports, b.request())
        (budget,) = budgets(b)
        b.ports.cluster.delete(ref_of(budget, PDBS))
        assert respond(b.ports, b.request()).exit_code == 0
        assert len(budgets(b)) == 1


def test_a_word_that_is_taken_back_again_and_again_does_not_keep_the_cut_from_its_end(tmp_path):
    with bench(tmp_path) as b:
        respond(b.ports, b.request())
        b.ports.cluster.patch(suspect(b), {"metadata": {"annotations": {EVICTABLE: "true"}}})
        before = len(b.writes())
        assert respond(b.ports, b.request()).exit_code == 0
        assert len(b.writes()) == before


def test_the_pods_of_a_node_are_kept_by_one_budget_in_each_namespace(tmp_path):
    with bench(tmp_path) as b:
        respond(b.ports, b.request(command="respond", playbook="compromised-node", target="node-1"))
        cut = [p for p in b.ports.cluster.list(PODS, None) if labels_of(p).get("quarantine") == "true"]
        assert cut
        assert all(annotations_of(p)[EVICTABLE] == "false" for p in cut)
        where = {p["metadata"]["namespace"] for p in cut}
        assert all(len(budgets(b, namespace)) == 1 for namespace in where)
        assert "disruption budget" in evict(b, ref_of(cut[0], PODS))
        lifting.lift(b.ports, None, "delete")
        assert not [o for namespace in where for o in budgets(b, namespace)]


def test_the_printed_role_has_the_rights(tmp_path: Path) -> None:
    for name in ("compromised-pod", "isolate-only", "cryptominer", "compromised-node"):
        found = {p.verb for p in rights.least(library.find(name, Settings()), "", "todo-app") if p.resource == "poddisruptionbudgets"}
        assert found == {"create", "get", "delete"}, name
