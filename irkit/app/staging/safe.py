"""Objects of a scenario as they may stand in a cluster that others use: small, harmless, and in one namespace.

What nobody needs in a game is left out: commands, probes, annotations that some controller of the cluster could act upon,
finalizers, where pods must run. What would reach further than the namespace is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from irkit.app.staging.ledger import LABEL
from irkit.credentials.reach import TOKEN_TYPE
from irkit.errors import RefusedError, UsageError
from irkit.model.kube import (
    CONFIGMAPS,
    DEPLOYMENTS,
    HPAS,
    JOBS,
    NETWORKPOLICIES,
    PDBS,
    PODS,
    REPLICASETS,
    ROLEBINDINGS,
    ROLES,
    SECRETS,
    SERVICEACCOUNTS,
    SERVICES,
    STATEFULSETS,
    Obj,
    Resource,
    at,
    known,
    selects,
)
from irkit.text import plural, printable

ORDER: tuple[Resource, ...] = (
    SERVICEACCOUNTS, SECRETS, CONFIGMAPS, ROLES, ROLEBINDINGS, NETWORKPOLICIES, SERVICES, PDBS, DEPLOYMENTS, STATEFULSETS, REPLICASETS, JOBS,
    PODS, HPAS,
)  # fmt: skip
"""What may be made, in the order in which it is."""
PODS_AT_MOST = 30
_TEMPLATED = (DEPLOYMENTS, STATEFULSETS, REPLICASETS, JOBS)
_VOLUMES = frozenset({"name", "emptyDir", "configMap", "secret", "projected", "downwardAPI"})
_SHARED = ("hostNetwork", "hostPID", "hostIPC")
_POD = frozenset({"volumes", "serviceAccountName", "securityContext", "restartPolicy"})
_CONTAINER = frozenset({"name", "ports", "env", "envFrom", "volumeMounts"})
_LIMITS = {"requests": {"cpu": "1m", "memory": "8Mi"}, "limits": {"cpu": "50m", "memory": "32Mi"}}
_TIGHT = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


Images = Callable[[str], str]


def holes(objects: Collection[Obj], selector: Mapping[str, str]) -> frozenset[str]:
    """The images of the pods that the selector selects, as a scenario has them."""
    found: set[str] = set()
    for obj in objects:
        template = obj if obj.get("kind") == PODS.kind else at(obj, ("spec", "template"), {})
        if selects({"matchLabels": selector}, at(template, ("metadata", "labels"), {})):
            found |= {str(c.get("image", "")) for c in at(template, ("spec", "containers"), ())}
    return frozenset(found)


def resource_of(obj: Obj) -> Resource:
    """Raises RefusedError for a kind that reaches further than a namespace, or is not known."""
    found = known(str(obj.get("apiVersion")), str(obj.get("kind")))
    if found not in ORDER or found is None:
        raise RefusedError(f"{_name(obj)} can't be made there: a game makes what Kubernetes itself has in a namespace, and what runs nowhere else")
    return found


def safe(obj: Obj, game: str, namespace: str, images: Images, moved: Collection[str]) -> Obj:
    """The object as it is made. Raises RefusedError.

    ``images``: what runs in place of an image; ``moved``: the scenario's namespaces, which are all ``namespace`` now.
    """
    resource = resource_of(obj)
    meta = obj["metadata"]
    if simulated := next((k for k in meta.get("annotations") or {} if k.startswith("sandbox.irkit.dev/")), ""):
        raise UsageError(f"{_name(obj)} is as only the built-in cluster can make it ({printable(simulated, 80)})")
    kept = {k: v for k, v in (meta.get("annotations") or {}).items() if k.startswith("irkit.dev/") and k != "irkit.dev/database"}
    if "irkit.dev/database" in (meta.get("annotations") or {}):
        kept["irkit.dev/rotation"] = "manual"  # there is no database to tell
    body = {k: v for k, v in obj.items() if k not in ("metadata", "status")}
    if resource in (*_TEMPLATED, PODS):
        body["spec"] = _workload(obj, resource, images)
    elif resource == ROLEBINDINGS:
        body["subjects"] = _bound(obj, namespace, moved)
    elif resource == SERVICES:
        _inside(obj)
    elif resource == SECRETS and obj.get("type") == TOKEN_TYPE:
        raise RefusedError(f"{_name(obj)} would be a token that works for as long as it is there: on a real cluster a game makes none")
    elif resource == NETWORKPOLICIES:
        body["spec"] = _peers(obj.get("spec"), namespace, moved)
    labels = {**(meta.get("labels") or {}), LABEL: game} if resource != PODS else dict(meta.get("labels") or {})
    return {**body, "metadata": {"name": meta["name"], "namespace": namespace, "labels": labels, "annotations": kept}}


def counted(objects: list[Obj]) -> int:
    """How many pods they come to. Raises UsageError where that is too many."""
    pods = sum(_pods(obj) for obj in objects)
    if pods > PODS_AT_MOST:
        raise UsageError(f"it comes to {plural(pods, 'pod')}, and a game on a real cluster has {PODS_AT_MOST} at most")
    return pods


def _pods(obj: Obj) -> int:
    resource = resource_of(obj)
    if resource == JOBS:
        return int(at(obj, ("spec", "parallelism"), 1))
    return int(at(obj, ("spec", "replicas"), 1)) if resource in _TEMPLATED else int(resource == PODS)


def _workload(obj: Obj, resource: Resource, images: Images) -> Obj:
    spec = obj.get("spec") or {}
    if resource == PODS:
        return _pod(spec, _name(obj), images)
    template = spec.get("template") or {}
    labels = at(template, ("metadata", "labels"), {})
    if at(spec, ("volumeClaimTemplates",)):
        raise RefusedError(f"{_name(obj)} takes storage of the cluster: on a real one a game takes none")
    return {**spec, "template": {"metadata": {"labels": labels}, "spec": _pod(template.get("spec") or {}, _name(obj), images)}}


def _pod(spec: Obj, name: str, images: Images) -> Obj:
    reaches = [field for field in _SHARED if spec.get(field)]
    reaches += [f"volume {printable(v.get('name'), 60)}" for v in spec.get("volumes") or () if set(v) - _VOLUMES]
    for container in _containers(spec):
        reaches += _reaches(container)
    if reaches:
        raise RefusedError(f"{name} reaches further than its pod ({', '.join(reaches)}): such a scenario is played on the built-in cluster alone")
    made: Obj = {k: v for k, v in spec.items() if k in _POD}
    # without init containers: a pause container never ends, so that what comes after it would never start
    made["containers"] = [_container(c, images) for c in spec.get("containers") or ()]
    return {**made, "terminationGracePeriodSeconds": 1}


def _container(container: Obj, images: Images) -> Obj:
    kept = {k: v for k, v in container.items() if k in _CONTAINER}
    return {**kept, "image": images(str(container.get("image", ""))), "resources": _LIMITS, "securityContext": _TIGHT}


def _containers(spec: Obj) -> Iterator[Obj]:
    for field in ("containers", "initContainers", "ephemeralContainers"):
        yield from spec.get(field) or ()


def _reaches(container: Obj) -> Iterator[str]:
    security = container.get("securityContext") or {}
    if security.get("privileged"):
        yield "privileged"
    if at(security, ("capabilities", "add")):
        yield "capabilities"
    if any(port.get("hostPort") for port in container.get("ports") or ()):
        yield "hostPort"


def _bound(obj: Obj, namespace: str, moved: Collection[str]) -> list[Obj]:
    """The subjects, when they are ServiceAccounts of the game, bound to a Role of it."""
    subjects = obj.get("subjects") or []
    home = at(obj, ("metadata", "namespace"), "")
    inside = all(s.get("kind") == "ServiceAccount" and s.get("namespace", home) in (*moved, namespace) for s in subjects)
    if at(obj, ("roleRef", "kind")) != "Role" or not inside:
        raise RefusedError(f"{_name(obj)} gives rights beyond the game: on a real cluster it binds ServiceAccounts of its own to Roles of its own")
    return [{"kind": "ServiceAccount", "name": s["name"], "namespace": namespace} for s in subjects]


def _inside(obj: Obj) -> None:
    spec = obj.get("spec") or {}
    if spec.get("type", "ClusterIP") != "ClusterIP" or spec.get("externalIPs") or spec.get("externalName"):
        raise RefusedError(f"{_name(obj)} can be reached from outside: on a real cluster a game has Services of type ClusterIP alone")


def _peers(value: Any, namespace: str, moved: Collection[str]) -> Any:
    """Selectors of namespaces by name select the game's namespace where they selected one of the scenario's."""
    if isinstance(value, Mapping):
        here = {k: namespace if k == "kubernetes.io/metadata.name" and v in moved else _peers(v, namespace, moved) for k, v in value.items()}
        if value.get("key") == "kubernetes.io/metadata.name" and isinstance(value.get("values"), list):
            here["values"] = sorted({namespace if v in moved else v for v in value["values"]})
        return here
    return [_peers(v, namespace, moved) for v in value] if isinstance(value, list) else value


def _name(obj: Obj) -> str:
    return printable(f"{obj.get('kind')} {at(obj, ('metadata', 'name'), '')}", 160)
