"""Rights: with the Role that `irkit playbook rbac` prints a playbook runs; with any write less it does not, and nothing is changed."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.controlplane.plugin import fresh_namespace
from tests.controlplane.running import Running
from tests.e2e import world
from tests.e2e.running import Irkit, writes
from tests.e2e.test_owners import start
from tests.e2e.world import Obj, name_of, owner

pytestmark = [pytest.mark.controlplane, pytest.mark.slow]

READS = {"get", "list", "watch"}


def printed(irkit: Irkit, namespace: str) -> list[Obj]:
    """The Role and the ClusterRole, under names of this namespace's own."""
    answer = irkit.run("playbook", "rbac", "compromised-pod", "-n", namespace, "--phase", "containment", "-o", "json").ended(0)
    items: list[Obj] = answer.document["items"]
    for item in items:
        item["metadata"]["name"] += f"-{namespace[-6:]}"
    return items


def flat(roles: list[Obj]) -> Iterator[tuple[str, str, str]]:
    """Verb, group and resource of every right."""
    for role in roles:
        for rule in role["rules"]:
            yield from ((v, g, r) for v in rule["verbs"] for g in rule["apiGroups"] for r in rule["resources"])


def without(roles: list[Obj], name: str, *rights: tuple[str, str]) -> list[Obj]:
    """Copies of the roles, of their own name, without these verbs on these resources."""
    made = copy.deepcopy(roles)
    for role in made:
        role["metadata"]["name"] += f"-{name}"
        rules = [{**rule, "resources": [r], "verbs": [v]} for rule in role["rules"] for r in rule["resources"] for v in rule["verbs"]]
        role["rules"] = [rule for rule in rules if (rule["verbs"][0], rule["resources"][0]) not in rights]
    return made


@pytest.mark.parametrize("kind", ["Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Job", "CronJob", "Pod"])
def test_the_printed_role_is_enough(control_plane: Running, namespace: str, irkit: Irkit, kind: str) -> None:
    suspect = name_of(start(control_plane, kind, namespace)[0])
    responder = irkit.using(control_plane.user("", *printed(irkit, namespace)).kubeconfig)
    done = responder.json("contain", suspect, "-n", namespace, "--yes")
    assert done["evidence"]["missing"] == []
    responder.json("verify", done["incident"])
    assert responder.json("lift", done["incident"], "--yes")["outcome"] == "lifted"
    assert responder.json("lift", done["incident"], "--pod", "return", "--yes")["outcome"] == "lifted"
    assert control_plane.get("networkpolicies", "-n", namespace)["items"] == []


def test_the_printed_role_is_enough_to_delete_the_pod_and_for_one_that_is_gone(control_plane: Running, namespace: str, irkit: Irkit) -> None:
    suspect, other = world.deployed(control_plane, namespace)
    responder = irkit.using(control_plane.user("", *printed(irkit, namespace)).kubeconfig)
    done = responder.json("contain", name_of(suspect), "-n", namespace, "--yes")
    assert responder.json("lift", done["incident"], "--pod", "delete", "--yes")["outcome"] == "lifted"
    control_plane.pods(namespace, count=2)
    gone = responder.json("contain", name_of(other), "-n", namespace, "--yes")
    assert gone["isolation"]["verdict"] == "gone"


# Each write of the Role, and the run that needs it.
NEEDED = {
    ("create", "networkpolicies"): "Deployment",
    ("patch", "pods"): "Deployment",
    ("patch", "deployments/scale"): "Deployment",
    ("patch", "replicasets/scale"): "ReplicaSet",
    ("patch", "statefulsets/scale"): "StatefulSet",
    ("patch", "daemonsets"): "DaemonSet",
    ("patch", "jobs"): "Job",
    ("patch", "cronjobs"): "CronJob",
}
LIFTING = {("delete", "networkpolicies"): "return", ("delete", "pods"): "delete", ("delete", "poddisruptionbudgets"): "return"}
OPTIONAL = ("create", "poddisruptionbudgets")


@pytest.fixture(scope="module")
def everything(control_plane: Running, request: pytest.FixtureRequest) -> Iterator[tuple[str, dict[str, str]]]:
    """A namespace with a workload of each kind, and the name of a pod of each. No test here may change anything in it."""
    with fresh_namespace(control_plane, "rights") as namespace:
        for kind in ("Deployment", "ReplicaSet", "StatefulSet"):
            labels = {"app": kind.lower()}
            control_plane.apply(world.scaled(kind, kind.lower(), namespace, 1, world.template(labels=labels)))
        control_plane.apply(world.daemonset("daemon", namespace), world.job("once", namespace), world.cronjob("nightly", namespace))
        control_plane.kubectl("create", "job", "nightly-now", "--from=cronjob/nightly", "-n", namespace)
        pods = control_plane.pods(namespace, count=10)
        names = {owner(p).partition("/")[0]: name_of(p) for p in pods if not owner(p).endswith("nightly-now")}
        names["CronJob"] = next(name_of(p) for p in pods if owner(p).endswith("nightly-now"))
        yield namespace, {**names, "Deployment": next(name_of(p) for p in pods if owner(p).startswith("ReplicaSet/deployment-")),
                          "ReplicaSet": next(name_of(p) for p in pods if owner(p) == "ReplicaSet/replicaset")}  # fmt: skip


def test_every_write_of_the_role_is_tested_here(irkit: Irkit, everything: tuple[str, dict[str, str]]) -> None:
    roles = printed(irkit, everything[0])
    assert {(verb, resource) for verb, _, resource in flat(roles) if verb not in READS} == {*NEEDED, *LIFTING, OPTIONAL}
    assert {verb for verb, _, _ in flat([r for r in roles if r["kind"] == "ClusterRole"])} <= READS


@pytest.mark.parametrize("right", NEEDED, ids=" ".join)
def test_without_one_write_nothing_is_changed(
    control_plane: Running, irkit: Irkit, everything: tuple[str, dict[str, str]], right: tuple[str, str]
) -> None:
    namespace, names = everything
    verb, resource = right
    user = control_plane.user("", *without(printed(irkit, namespace), re.sub("[^a-z]", "", "".join(right)), right))
    mark = control_plane.mark()
    answer = irkit.using(user.kubeconfig).run("contain", names[NEEDED[right]], "-n", namespace, "--yes", "-o", "json").ended(4)
    assert writes([e for e in control_plane.audit(mark) if e["user"]["username"] == user.name]) == []
    error = answer.document["error"]
    group = {"pods": "", "networkpolicies": ".networking.k8s.io", "jobs": ".batch", "cronjobs": ".batch"}.get(resource, ".apps")
    assert error["message"] == f"you may not {verb} {resource}{group} in {namespace} (as {user.name}). Nothing was changed."
    assert error["next"].startswith(f"irkit playbook rbac compromised-pod -n {namespace}")
    assert not (irkit.home / "incidents").exists()


@pytest.mark.parametrize(("right", "choice"), LIFTING.items(), ids=lambda v: " ".join(v) if isinstance(v, tuple) else v)
def test_lifting_needs_each_of_its_rights(control_plane: Running, namespace: str, irkit: Irkit, right: tuple[str, str], choice: str) -> None:
    control_plane.apply(world.bare("solo", namespace))
    control_plane.pods(namespace, count=1)
    done = irkit.json("contain", "solo", "-n", namespace, "--yes")
    user = control_plane.user("", *without(printed(irkit, namespace), "lift", right))
    mark = control_plane.mark()
    answer = irkit.using(user.kubeconfig).run("lift", done["incident"], "--pod", choice, "--yes", "-o", "json").ended(4)
    assert writes([e for e in control_plane.audit(mark) if e["user"]["username"] == user.name]) == []
    assert " ".join(right) in answer.document["error"]["message"]
    assert irkit.json("lift", done["incident"], "--pod", choice, "--yes")["outcome"] == "lifted"


def test_who_may_make_no_budget_contains_and_lifts_all_the_same(control_plane: Running, namespace: str, irkit: Irkit) -> None:
    control_plane.apply(world.bare("solo", namespace))
    control_plane.pods(namespace, count=1)
    user = control_plane.user("", *without(printed(irkit, namespace), "nobudget", OPTIONAL))
    responder = irkit.using(user.kubeconfig)
    assert responder.run("contain", "solo", "-n", namespace, "--yes").ended(0).said.count("so nothing keeps drains from evicting it") == 1
    document = responder.json("contain", "solo", "-n", namespace, "--yes")
    (said,) = [c for s in document["steps"] for c in s["changes"] if c["object"]["kind"] == "PodDisruptionBudget"]
    assert (said["outcome"], "poddisruptionbudgets" in said["why"]) == ("skipped", True)
    assert responder.json("lift", document["incident"], "--pod", "return", "--yes")["outcome"] == "lifted"


def test_missing_rights_on_evidence_are_gaps(control_plane: Running, namespace: str, irkit: Irkit) -> None:
    pods = world.deployed(control_plane, namespace)
    roles = without(printed(irkit, namespace), "nologs", ("get", "pods/log"), ("get", "secrets"), ("list", "roles"))
    user = control_plane.user("", *roles)
    answer = irkit.using(user.kubeconfig).run("contain", name_of(pods[0]), "-n", namespace, "--yes", "-o", "json").ended(0)
    missing = answer.document["evidence"]["missing"]
    logs = [m for m in missing if m["what"].startswith("logs of app in")]
    assert {m["what"].rpartition("/")[2] for m in logs} >= {name_of(p) for p in pods}
    assert all("pods/log" in m["why"] and "forbidden" in m["why"] for m in logs), json.dumps(logs)
    assert Path(answer.document["evidence"]["bundle"]).is_dir()
    steps = {s["id"]: s["outcome"] for s in answer.document["steps"]}
    assert steps["stop-workload"] == "done", "a refusal is definitive: it blocks nothing"


def test_without_any_right_all_that_is_needed_is_named(control_plane: Running, namespace: str, irkit: Irkit) -> None:
    stranger = irkit.using(control_plane.user().kubeconfig)
    message = stranger.json("contain", "web-x", "-n", namespace, "--yes", code=4)["error"]["message"]
    for right in ("get pods", "list pods", "patch pods", "list networkpolicies.networking.k8s.io", "create networkpolicies.networking.k8s.io"):
        assert f"{right} in {namespace}" in message
    assert "secrets" not in message, "what only evidence needs does not stop a run"
    assert stranger.run("contain", "web-x", "-n", namespace, "--yes").ended(4).stderr.count("irkit playbook rbac compromised-pod") == 1
