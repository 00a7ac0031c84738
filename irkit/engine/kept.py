"""Which pods are evidence of an incident, this one or another: by journals, never by what a pod says of itself.

A pod's labels and its policy only say whose journal to look into: on this machine, else the copy in ``irkit-system``. So
nobody who may write to pods can hide one from a rotation, and nothing is asked where no pod is under quarantine.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from irkit.engine import handover
from irkit.engine.home import Home
from irkit.engine.state import State
from irkit.errors import ForbiddenError, IrkitError, NotFoundError, UnreachableError
from irkit.model.incident import INCIDENT_LABEL, QUARANTINE_LABEL
from irkit.model.kube import NETWORKPOLICIES, NODES, PODS, Obj, ObjectRef, annotations_of, at, labels_of, ref_of
from irkit.network.deny import INCIDENT_ANNOTATION
from irkit.ports import Ports

_ID = re.compile(r"\d{8}T\d{6}Z-[a-z0-9.-]{1,200}")


class Kept:
    """Asked about pods, which of them incidents keep: by uid, the incident's id. What was read is remembered."""

    def __init__(self, ports: Ports) -> None:
        self._ports, self._home = ports, Home(ports.settings.home)
        self._known: dict[tuple[str, str], dict[str, str]] = {}  # by namespace and the label's value
        self._nodes: list[State] | None = None

    def __call__(self, pods: Sequence[Obj]) -> Mapping[str, str]:
        found: dict[str, str] = {}
        for pod in pods:
            uid = str(at(pod, ("metadata", "uid"), ""))
            keeper = self._cut_off(pod).get(uid) or self._on_a_node(ref_of(pod, PODS))
            if keeper:
                found[uid] = keeper
        return found

    def incidents(self, namespace: str, labels: Mapping[str, str]) -> Iterator[State]:
        """Those that may have a pod with these labels under quarantine; this machine's first."""
        short = _short(labels)
        if not short:
            return
        where = self._ports.connection.identify().uid
        local = [i for i in self._home.ids() if i.endswith(f"-{short}")]
        states = [state for i in local if (state := self._load(i)) is not None]
        if not states:
            states = [state for state in [self._shared(namespace, short)] if state is not None]
        yield from (state for state in states if state.incident.cluster.uid == where)

    def _cut_off(self, pod: Obj) -> Mapping[str, str]:
        namespace, labels = at(pod, ("metadata", "namespace"), ""), labels_of(pod)
        key = namespace, _short(labels)
        if not key[1]:
            return {}
        if key not in self._known:
            from irkit.credentials import cut_off  # not on the way to a cut

            self._known[key] = {uid: s.incident.id for s in self.incidents(namespace, labels) for uid in cut_off(i.change for i, _ in s.undone())}
        return self._known[key]

    def _shared(self, namespace: str, short: str) -> State | None:
        """The colleague's incident. Its policy in this namespace says its whole id, and the copy of its journal whether that is so."""
        cluster = self._ports.cluster
        try:
            policy = cluster.get(ObjectRef(resource=NETWORKPOLICIES, name=f"irkit-{short}", namespace=namespace))
        except (NotFoundError, ForbiddenError):
            return None
        identifier = annotations_of(policy).get(INCIDENT_ANNOTATION, "")
        if not _ID.fullmatch(identifier) or not identifier.endswith(f"-{short}"):
            return None
        try:
            return handover.look(cluster, identifier)[0]
        except UnreachableError:
            raise
        except IrkitError:  # no copy, or none that can be believed: nobody vouches for the pod
            return None

    def _on_a_node(self, pod: ObjectRef) -> str:
        """The open incident about a node, on which this pod ran when it began: one of the host network, say, which nothing cuts off."""
        if self._nodes is None:
            where = self._ports.connection.identify().uid
            about = [o.incident.id for o in self._home.opened() if o.incident.target.pod.resource == NODES and o.incident.cluster.uid == where]
            self._nodes = [state for i in about if (state := self._load(i)) is not None and not state.over]
        return next((s.incident.id for s in self._nodes if any(p.uid == pod.uid for p in s.incident.target.siblings)), "")

    def _load(self, identifier: str) -> State | None:
        try:
            return self._home.load(identifier)
        except IrkitError:  # a damaged journal is said where it is looked at
            return None


def _short(labels: Mapping[str, str]) -> str:
    """Of the incident that a pod says it is under quarantine for; empty: it says none."""
    return labels.get(INCIDENT_LABEL, "") if labels.get(QUARANTINE_LABEL) == "true" else ""
