"""The blast radius in a large namespace: 500 pods, 2,000 Secrets, an account that may list them all."""

from __future__ import annotations

from bench.measure import Series
from bench.scenes import Stage
from bench.table import Row
from tests.controlplane.running import Obj

PODS, SECRETS, WORKLOADS = 500, 2000, 50
TARGET = 2.0  # seconds
_GROUP = "rbac.authorization.k8s.io"


def radius(stage: Stage) -> list[Row]:
    """The whole process; beside it, how many lists it asks for, in a small namespace and in this one."""
    few, _ = _measured(stage, "bench-radius-small", pods=4, secrets=16, workloads=2, runs=1)
    many, times = _measured(stage, "bench-radius", pods=PODS, secrets=SECRETS, workloads=WORKLOADS, runs=stage.runs)
    if few != many:
        raise SystemExit(f"{few} lists in a small namespace, {many} in a large one")
    what = f"irkit blast-radius, {PODS} pods, {SECRETS:,} Secrets, all reached"
    return [Row(what, times.minimum, times.median, "s", target=TARGET), Row("lists asked for, whatever the size", many, many, "")]


def _measured(stage: Stage, namespace: str, *, pods: int, secrets: int, workloads: int, runs: int) -> tuple[int, Series]:
    """Lists of one run in requests (a page more of the same list is not another one), and the seconds of each run."""
    plane = stage.plane
    plane.kubectl("create", "namespace", namespace)
    plane.kubectl("wait", "--for=create", "serviceaccount/default", "-n", namespace, "--timeout=20s")
    objects = [_secret(n) for n in range(secrets)]
    for start in range(0, secrets, 500):
        plane.kubectl("create", "-n", namespace, "-f", "-", stdin={"apiVersion": "v1", "kind": "List", "items": objects[start : start + 500]})
    plane.apply(*_rights(namespace), *(_deployment(n, pods // workloads) for n in range(workloads)), namespace=namespace)
    found = plane.pods(namespace, count=pods, seconds=300)
    times, mark = Series(), plane.mark()
    for _ in range(runs):
        ended = stage.irkit("blast-radius", found[0]["metadata"]["name"], "-n", namespace)
        times.seconds.append(ended.seconds)
    asked = [e for e in plane.audit(mark, agent="irkit/") if e["verb"] == "list" and "continue=" not in e["requestURI"]]
    return len({e["auditID"] for e in asked}) // runs, times


def _secret(number: int) -> Obj:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": f"secret-{number}", "annotations": {"irkit.dev/rotation": "generated"}},
            "stringData": {"password": f"value-{number}", "user": "app"}}  # fmt: skip


def _rights(namespace: str) -> list[Obj]:
    rules = [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "list"]}]
    subjects = [{"kind": "ServiceAccount", "name": "default", "namespace": namespace}]
    return [
        {"apiVersion": f"{_GROUP}/v1", "kind": "Role", "metadata": {"name": "reader"}, "rules": rules},
        {"apiVersion": f"{_GROUP}/v1", "kind": "RoleBinding", "metadata": {"name": "reader"}, "subjects": subjects,
         "roleRef": {"apiGroup": _GROUP, "kind": "Role", "name": "reader"}},
    ]  # fmt: skip


def _deployment(number: int, replicas: int) -> Obj:
    labels, name = {"app": f"web-{number}"}, f"web-{number}"
    source = [{"secretRef": {"name": f"secret-{number}"}}, {"secretRef": {"name": f"secret-{number + 1}"}}]
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "app", "image": "localhost/web:1", "envFrom": source}]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}
