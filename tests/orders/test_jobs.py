"""Orders as Kubernetes Jobs: what a Job may be and do, that it is begun once, and that one which is gone is noticed at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from irkit import settings as loading
from irkit import wiring
from irkit.adapters.jobs import Jobs, job, name_of
from irkit.adapters.kubernetes import connect
from irkit.app.orders import queue
from irkit.app.orders.deciding import decide
from irkit.app.orders.dispatch import Pulse, turn
from irkit.errors import ForbiddenError, UsageError
from irkit.model.kube import JOBS, Obj, ObjectRef
from irkit.model.order import SYSTEM_NAMESPACE, Held, Status, identifier
from irkit.ports import Cluster, Ports
from irkit.settings import Settings
from irkit.settings.orders import JobSettings, OrderSettings
from tests.clocks import StepClock
from tests.controlplane.cluster import kubeconfig
from tests.controlplane.running import Running
from tests.e2e.running import Irkit, manager, what
from tests.e2e.test_owners import start
from tests.e2e.world import name_of as pod_name
from tests.orders.desk import ANN, BOB, SLACK, Desk
from tests.orders.words import order

IMAGE = "registry.example/irkit@sha256:" + "0" * 64
PLAIN = JobSettings(image=IMAGE)


def held(begun: int = 1, worker: str = "", **more: Any) -> Held:
    return Held(
        order=order(**more), status=Status(state="planning", changed="2026-11-22T03:00:00Z", begun=begun, attempts=1, worker=worker), version="1"
    )


def ref(of: Held) -> ObjectRef:
    return ObjectRef(resource=JOBS, name=name_of(of), namespace=SYSTEM_NAMESPACE)


# what a Job is


def test_nothing_but_the_orders_id_is_in_it():
    """Whatever a stranger wrote stays in the order, which the Job reads as data."""
    text = json.dumps(job(held(because="$(reboot)", parameters={"image": "--flag; rm"}), PLAIN))
    assert "reboot" not in text
    assert "--flag" not in text
    container = job(held(), PLAIN)["spec"]["template"]["spec"]["containers"][0]
    assert container["args"] == ["order", "work", identifier("k")]
    assert "command" not in container


def test_it_runs_once_with_the_playbooks_own_rights_and_is_removed_in_time():
    found = job(held(3), PLAIN)
    assert found["metadata"]["name"] == f"irkit-order-{identifier('k')}-3"
    spec = found["spec"]
    assert (spec["backoffLimit"], spec["ttlSecondsAfterFinished"], spec["activeDeadlineSeconds"]) == (0, 3600, 7200)
    assert spec["template"]["spec"]["serviceAccountName"] == "irkit-compromised-pod"
    assert spec["template"]["spec"]["restartPolicy"] == "Never"
    other = JobSettings(image=IMAGE, service_accounts={"compromised-pod": "cutter"})
    assert job(held(), other)["spec"]["template"]["spec"]["serviceAccountName"] == "cutter"


def test_it_has_no_privileges():
    pod = job(held(), PLAIN)["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    own = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
    assert pod["containers"][0]["securityContext"] == own
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)


def test_what_the_settings_add():
    full = JobSettings(image=IMAGE, pull_policy="Never", pull_secrets=("pull",), claim="home", config="settings", playbooks="books", secret="env",
                       limits={"cpu": "2", "memory": "1Gi"}, labels={"team": "sec", "app.kubernetes.io/name": "other"})  # fmt: skip
    pod = job(held(), full)["spec"]["template"]["spec"]
    container = pod["containers"][0]
    assert pod["imagePullSecrets"] == [{"name": "pull"}]
    assert {v["name"]: next(k for k in v if k != "name") for v in pod["volumes"]} == {
        "home": "persistentVolumeClaim", "tmp": "emptyDir", "settings": "configMap", "playbooks": "configMap",
    }  # fmt: skip
    assert {e["name"]: e["value"] for e in container["env"]}["IRKIT_PLAYBOOKS"] == "/etc/irkit-playbooks"
    assert container["envFrom"] == [{"secretRef": {"name": "env"}}]
    assert container["resources"]["limits"] == {"cpu": "2", "memory": "1Gi"}
    labels = job(held(), full)["metadata"]["labels"]
    assert (labels["team"], labels["app.kubernetes.io/name"]) == ("sec", "irkit"), "the settings' labels do not take the place of irkit's"


@pytest.mark.parametrize(("jobs", "why"), [
    ({}, "image"), ({"image": ""}, "image"), ({"image": IMAGE, "ttl": -1}, "ttl"), ({"image": IMAGE, "claim": "../x"}, "claim"),
    ({"image": IMAGE, "privileged": True}, "privileged"), ({"image": IMAGE, "user": 0}, "user"), ({"image": IMAGE, "limits": {"gpu": "1"}}, "limits"),
    ({"image": IMAGE, "service-accounts": {"x": "A B"}}, "service-accounts"),
])  # fmt: skip
def test_settings_that_are_wrong(jobs: dict[str, Any], why: str, tmp_path: Path):
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"orders": {"jobs": jobs}}))
    with pytest.raises(UsageError, match=why):
        loading.load({"IRKIT_CONFIG": str(tmp_path / "config.yaml"), "HOME": str(tmp_path)})


def test_jobs_need_the_queue_in_the_cluster(alone: Desk):
    configured = msgspec.structs.replace(alone.configured, orders=OrderSettings(jobs=PLAIN))
    with pytest.raises(UsageError, match=r"orders\.jobs needs the queue in the cluster, and orders wait on this machine"):
        wiring.runner(configured, alone.ports.cluster, alone.queue, [])


# that it is begun once, and is seen to


def test_it_is_begun_once(cluster: Cluster):
    runner = Jobs(cluster, StepClock(), PLAIN)
    runner.start(held())
    runner.start(held())
    assert [j["metadata"]["name"] for j in cluster.list(JOBS, SYSTEM_NAMESPACE)] == [name_of(held())]
    runner.close()
    assert len(cluster.list(JOBS, SYSTEM_NAMESPACE)) == 1


def test_whether_it_goes_on(cluster: Cluster):
    clock = StepClock()
    runner = Jobs(cluster, clock, PLAIN)
    runner.start(held())
    inside = held(worker=f"{name_of(held())}-x2f4z/1")
    assert runner.alive(held()) is True
    assert runner.alive(inside) is True
    assert runner.alive(held(2)) is False, "it was never begun"
    assert runner.alive(held(worker="laptop/77")) is None, "somebody's at a terminal"
    assert runner.alive(held(worker=f"{name_of(held(11))}-x/1")) is None, "11 is not 1"
    cluster.patch(ref(held()), {"status": {"conditions": [{"type": "Failed", "status": "True"}]}}, subresource="status")
    assert runner.alive(held()) is True, "it was looked a moment ago"
    clock.sleep(2)
    assert runner.alive(held()) is False
    cluster.delete(ref(held()))
    clock.sleep(2)
    assert runner.alive(inside) is False


def test_who_may_not_look_does_not_know(tmp_path: Path):
    class Nobody:
        def list(self, *given: Any, **more: Any) -> Any:
            raise ForbiddenError("no")

    assert Jobs(Nobody(), StepClock(), PLAIN).alive(held()) is None  # type: ignore[arg-type]


def test_a_job_that_vanished_before_its_first_sign_of_life_is_followed_by_the_next(desk: Desk):
    runner, clock = Jobs(desk.ports.cluster, desk.ports.clock, PLAIN), desk.ports.clock
    identifier = desk.submit("collect")
    turn(desk.queue, runner, desk.configured, clock, desk.pulse)
    desk.ports.cluster.delete(ref(desk.queue.get(identifier)))
    began = time.monotonic()
    while desk.queue.get(identifier).status.begun < 2:
        turn(desk.queue, runner, desk.configured, clock, desk.pulse)
        assert time.monotonic() - began < 10
        time.sleep(0.1)
    names = [j["metadata"]["name"] for j in desk.ports.cluster.list(JOBS, SYSTEM_NAMESPACE)]
    assert names == [f"irkit-order-{identifier}-2"]


def test_jobs_that_may_not_be_created_are_said_and_tried_less_and_less_often(desk: Desk, tmp_path: Path):
    nobody = connect(loading.load({"KUBECONFIG": str(desk.box.token_for("nobody")), "HOME": str(tmp_path)}))
    runner = Jobs(nobody, desk.ports.clock, PLAIN)
    identifier = desk.submit("collect")
    for _ in range(20):
        turn(desk.queue, runner, desk.configured, desk.ports.clock, desk.pulse)
    status = desk.queue.get(identifier).status
    assert status.begun == 1
    assert 'User "nobody" cannot create resource "jobs"' in status.note


# on a real control plane: admission, and the rights of the playbook's Role


class Hands:
    """Does what Jobs say, as a kubelet would: their args, with the token of their ServiceAccount."""

    def __init__(self, plane: Running, folder: Path, config: Path) -> None:
        self._plane, self._folder, self._config = plane, folder, config
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def step(self, jobs: list[Obj]) -> None:
        for found in jobs:
            if (name := found["metadata"]["name"]) not in self._running:
                pod = found["spec"]["template"]["spec"]
                token = self._plane.kubectl("create", "token", pod["serviceAccountName"], "-n", SYSTEM_NAMESPACE).stdout.strip()
                way = self._folder / f"{name}.kubeconfig"
                kubeconfig(way, self._plane.url, self._plane.ca, {"token": token})
                environ = {"PATH": os.environ["PATH"], "HOME": str(self._folder), "IRKIT_HOME": str(self._folder / "home"), "KUBECONFIG": str(way),
                           "IRKIT_CONFIG": str(self._config)}  # fmt: skip
                self._running[name] = subprocess.Popen([sys.executable, "-m", "irkit", *pod["containers"][0]["args"]], env=environ)

    def close(self) -> None:
        for process in self._running.values():
            process.terminate()
            process.wait(20)


def account(plane: Running, irkit: Irkit, namespace: str) -> None:
    """The actor of compromised-pod: the printed rights there, and its own part of irkit-system."""
    rbac, name = "rbac.authorization.k8s.io", "irkit-compromised-pod"
    items: list[Obj] = (
        irkit.run("playbook", "rbac", "compromised-pod", "-n", namespace, "--phase", "containment", "-o", "json").ended(0).document["items"]
    )
    items += [
        {"apiVersion": f"{rbac}/v1", "kind": "Role", "metadata": {"name": "irkit-actor", "namespace": SYSTEM_NAMESPACE}, "rules": [
            {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["create", "get", "list", "patch"]},
            {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["irkit-signing"], "verbs": ["get"]},
            {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["create", "get", "list", "patch"]}]},
        {"apiVersion": f"{rbac}/v1", "kind": "ClusterRole", "metadata": {"name": f"irkit-identify-{namespace}"}, "rules": [
            {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get"]}]},
    ]  # fmt: skip
    who = {"kind": "ServiceAccount", "name": name, "namespace": SYSTEM_NAMESPACE}
    bindings = [
        {"apiVersion": f"{rbac}/v1", "kind": f"{i['kind']}Binding", "metadata": {**i["metadata"]},
         "roleRef": {"apiGroup": rbac, "kind": i["kind"], "name": i["metadata"]["name"]}, "subjects": [who]} for i in items
    ]  # fmt: skip
    plane.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": SYSTEM_NAMESPACE}}, *items, *bindings)


@pytest.mark.controlplane
@pytest.mark.slow
def test_an_order_is_carried_out_by_jobs_with_the_rights_of_its_playbook_alone(system: Running, namespace: str, tmp_path: Path):
    plane = system
    plane.kubectl("label", "namespace", SYSTEM_NAMESPACE, "pod-security.kubernetes.io/enforce=restricted")
    suspect = pod_name(start(plane, "Deployment", namespace)[0])
    account(plane, Irkit(plane.admin_kubeconfig, tmp_path / "laptop"), namespace)
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump({"slack": SLACK, "orders": {"jobs": {"image": IMAGE}}}))
    configured = loading.load({"KUBECONFIG": str(plane.token_kubeconfig), "HOME": str(tmp_path), "IRKIT_CONFIG": str(config)})
    ports = wiring.ports(configured, lambda event: None, yes=True)
    orders = wiring.orders(configured, ports.cluster)
    runner, hands, mark = wiring.runner(configured, ports.cluster, orders, []), Hands(plane, tmp_path, config), plane.mark()
    asked = queue.compose("e2e", ANN, "contain", suspect, namespace, cluster=ports.connection.identify().uid, clock=ports.clock, settings=configured,
                          approvers=("leads",))  # fmt: skip
    queue.submit(orders, asked, ports.clock)
    turn(orders, runner, configured, ports.clock, Pulse(ports.clock))
    pods = plane.pods(SYSTEM_NAMESPACE, f"irkit.dev/order-id={asked.id}", count=1)  # restricted Pod Security lets it in
    assert pods[0]["spec"]["serviceAccountName"] == "irkit-compromised-pod"
    plane.kubectl("delete", "job", f"irkit-order-{asked.id}-1", "-n", SYSTEM_NAMESPACE)  # nobody began with it
    try:
        held = carried_out(ports, orders, runner, hands, asked.id, configured)
    finally:
        hands.close()
    assert held.status.ended
    assert (held.status.state, held.status.begun, held.status.ended.exit_code) == ("done", 3, 0), held.status.ended
    assert held.status.ended.missing == ()
    assert len(plane.get("networkpolicies", "-n", namespace)["items"]) == 1
    acts = [e for e in plane.audit(mark, agent="irkit/") if e.get("objectRef", {}).get("namespace") == namespace and manager(e)]
    assert {e["user"]["username"] for e in acts} == {f"system:serviceaccount:{SYSTEM_NAMESPACE}:irkit-compromised-pod"}
    assert "create networkpolicies" in {what(e) for e in acts}


def carried_out(ports: Ports, orders: Any, runner: Any, hands: Hands, identifier: str, configured: Settings) -> Held:
    end, pulse = time.monotonic() + 60, Pulse(ports.clock)
    while True:
        turn(orders, runner, configured, ports.clock, pulse)
        hands.step(list(ports.cluster.list(JOBS, SYSTEM_NAMESPACE)))
        found: Held = orders.get(identifier)
        if found.status.over:
            return found
        if found.status.state == "waiting" and found.status.planned:
            decide(orders, identifier, BOB, yes=True, digest=found.status.planned.digest, clock=ports.clock, settings=configured)
        assert time.monotonic() < end, found.status
        time.sleep(0.2)
