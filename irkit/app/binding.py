"""Which pod and workload a request is about: by the cluster, and by what earlier incidents of this machine know of the pod."""

from __future__ import annotations

import msgspec

from irkit import workloads
from irkit.engine import binder, preflight
from irkit.engine.home import Home
from irkit.engine.kept import Kept
from irkit.errors import ForbiddenError, NotFoundError
from irkit.model.incident import Target
from irkit.model.kube import NETWORKPOLICIES, PODS, Permission, ref_of
from irkit.model.playbook import Playbook
from irkit.ports import ClusterReader, Ports

_READS = {PODS.plural, NETWORKPOLICIES.plural, *(kind.resource.plural for kind in workloads.KINDS)}


def bind(ports: Ports, playbook: Playbook, phase: str, wanted: binder.Wanted, namespace: str, cluster: ClusterReader) -> Target:
    """The target as it is now. Raises UsageError, and ForbiddenError that names all that the playbook lacks."""
    of_workload = playbook.target is not None and playbook.target.type == "workload"
    try:
        target = binder.bind(wanted, namespace, cluster, any_pod=of_workload)
    except ForbiddenError as error:
        from irkit.engine import rights

        least = [p for p in rights.least(playbook, phase, namespace) if p.namespace == namespace]
        needed = [p for p in least if rights.blocking(p) or _read(p)]
        missing = [p for p in needed if not ports.cluster.can(p)]
        if not missing:
            raise
        raise preflight.forbidden(missing, ports.connection.whoami().name, playbook.name, namespace, phase) from error
    return _as_before(target, ports, cluster)


def _read(permission: Permission) -> bool:
    """Whether it is a read without which nothing can be done; what only evidence needs becomes a gap."""
    return permission.verb in ("get", "list", "watch") and permission.resource in _READS and not permission.subresource


def _as_before(target: Target, ports: Ports, cluster: ClusterReader) -> Target:
    """A pod that irkit detached has no owner any more: its workload is what an earlier incident bound, a colleague's, too."""
    if target.owners or target.gone:
        return target
    where = ports.connection.identify()
    for opened in Home(ports.settings.home).opened():
        old = opened.incident
        if old.cluster.uid == where.uid and old.target.pod.uid == target.pod.uid and old.target.stoppable is not None:
            return _owned(target, old.target, cluster)
    if not target.is_pod:
        return target
    theirs = [s.incident.target for s in Kept(ports).incidents(target.namespace, target.labels) if s.incident.target.pod.same(target.pod)]
    return next((_owned(target, before, cluster) for before in theirs if before.stoppable is not None), target)


def _owned(target: Target, before: Target, cluster: ClusterReader) -> Target:
    assert before.workload is not None
    try:
        pods = workloads.observe(before.workload, cluster).pods
    except NotFoundError:
        return target  # it is gone: a bare pod is what is left
    siblings = (target.pod, *(r for p in pods if (r := ref_of(p, PODS)).uid != target.pod.uid))
    return msgspec.structs.replace(target, owners=before.owners, workload=before.workload, siblings=siblings, selector=before.selector)
