"""Carrying out orders in the cluster: a Kubernetes Job each time, with the ServiceAccount of the order's playbook.

Its name has the number of the process, so that a second creation is refused by the API server. It satisfies the
restricted level of the Pod Security Standards. Nothing but the order's id, which is of our own alphabet, is in its argv.
"""

from __future__ import annotations

import threading
from typing import Any

from irkit.errors import ConflictError, IrkitError
from irkit.model.kube import JOBS, Obj, at
from irkit.model.order import SYSTEM_NAMESPACE, Held
from irkit.ports import Clock, Cluster
from irkit.settings.orders import JobSettings

LABEL = "irkit.dev/order-id"
HOME, SETTINGS, PLAYBOOKS = "/var/lib/irkit", "/etc/irkit", "/etc/irkit-playbooks"
_FRESH = 2.0  # seconds that a look at the Jobs is good for


class Jobs:
    """Outlives the process that created them: `close` ends none."""

    def __init__(self, cluster: Cluster, clock: Clock, settings: JobSettings) -> None:
        self._cluster, self._clock, self._settings = cluster, clock, settings
        self._seen: dict[str, Obj] | None = None
        self._looked = 0.0
        self._lock = threading.Lock()

    def start(self, held: Held) -> None:
        with self._lock:
            self._seen = None
        try:
            self._cluster.create(JOBS, job(held, self._settings))
        except ConflictError:  # it was begun before
            return

    def alive(self, held: Held) -> bool | None:
        name = name_of(held)
        if held.status.worker and not held.status.worker.startswith(f"{name}-"):
            return None  # somebody's at a terminal
        try:
            found = self._look().get(name)
        except IrkitError:
            return None
        ended = {c.get("type") for c in at(found or {}, ("status", "conditions")) or () if c.get("status") == "True"}
        return found is not None and "deletionTimestamp" not in found["metadata"] and not ended & {"Complete", "Failed", "FailureTarget"}

    def close(self) -> None:
        """They belong to the cluster."""

    def _look(self) -> dict[str, Obj]:
        with self._lock:
            now = self._clock.monotonic()
            if self._seen is None or now - self._looked >= _FRESH:
                self._seen = {j["metadata"]["name"]: j for j in self._cluster.list(JOBS, SYSTEM_NAMESPACE, labels=LABEL)}
                self._looked = now
            return self._seen


def name_of(held: Held) -> str:
    return f"irkit-order-{held.order.id}-{held.status.begun}"


def job(held: Held, settings: JobSettings) -> Obj:
    """The Job of process number ``held.status.begun``."""
    labels = {**settings.labels, "app.kubernetes.io/name": "irkit", "app.kubernetes.io/component": "actor", "app.kubernetes.io/managed-by": "irkit",
              LABEL: held.order.id}  # fmt: skip
    return {
        "apiVersion": JOBS.api_version, "kind": "Job", "metadata": {"name": name_of(held), "namespace": SYSTEM_NAMESPACE, "labels": labels},
        "spec": {
            "backoffLimit": 0, "ttlSecondsAfterFinished": settings.ttl, "activeDeadlineSeconds": settings.deadline,
            "template": {"metadata": {"labels": labels}, "spec": _pod(held, settings)},
        },
    }  # fmt: skip


def _pod(held: Held, settings: JobSettings) -> Obj:
    account = settings.service_accounts.get(held.order.playbook) or f"irkit-{held.order.playbook}"
    pod: Obj = {
        "serviceAccountName": account, "restartPolicy": "Never", "enableServiceLinks": False, "terminationGracePeriodSeconds": 30,
        "securityContext": {
            "runAsNonRoot": True, "runAsUser": settings.user, "runAsGroup": settings.user, "fsGroup": settings.user,
            "fsGroupChangePolicy": "OnRootMismatch", "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(held, settings)], "volumes": [{"name": v, **source} for v, _, source in _volumes(settings)],
    }  # fmt: skip
    if settings.pull_secrets:
        pod["imagePullSecrets"] = [{"name": name} for name in settings.pull_secrets]
    return pod


def _container(held: Held, settings: JobSettings) -> Obj:
    environment = {"IRKIT_HOME": HOME, "HOME": "/tmp"}  # noqa: S108 -- an emptyDir of the pod's own
    if settings.config:
        environment["IRKIT_CONFIG"] = f"{SETTINGS}/config.yaml"
    if settings.playbooks:
        environment["IRKIT_PLAYBOOKS"] = PLAYBOOKS
    container: Obj = {
        "name": "irkit", "image": settings.image, "imagePullPolicy": settings.pull_policy, "args": ["order", "work", held.order.id],
        "env": [{"name": k, "value": v} for k, v in environment.items()],
        "securityContext": {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [{"name": v, "mountPath": path, **({"readOnly": True} if "configMap" in source else {})}
                         for v, path, source in _volumes(settings)],
        "resources": {"requests": dict(settings.requests), "limits": dict(settings.limits)},
    }  # fmt: skip
    if settings.secret:
        container["envFrom"] = [{"secretRef": {"name": settings.secret}}]
    return container


def _volumes(settings: JobSettings) -> list[tuple[str, str, dict[str, Any]]]:
    home: dict[str, Any] = {"persistentVolumeClaim": {"claimName": settings.claim}} if settings.claim else {"emptyDir": {}}
    found: list[tuple[str, str, dict[str, Any]]] = [("home", HOME, home), ("tmp", "/tmp", {"emptyDir": {}})]  # noqa: S108
    if settings.config:
        found.append(("settings", SETTINGS, {"configMap": {"name": settings.config}}))
    if settings.playbooks:
        found.append(("playbooks", PLAYBOOKS, {"configMap": {"name": settings.playbooks}}))
    return found
