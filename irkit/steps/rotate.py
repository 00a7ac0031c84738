"""Make stolen credentials useless, all of them at the same time."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import ClassVar, Literal

from irkit import credentials, rotators
from irkit.credentials import moved
from irkit.errors import NotFoundError
from irkit.model import changes
from irkit.model.arguments import Pods
from irkit.model.changes import Await, Capture, Change
from irkit.model.credential import Class, Credential
from irkit.model.evidence import VITAL
from irkit.model.incident import Incident
from irkit.model.kube import CRONJOBS, DAEMONSETS, NAMESPACES, NODES, PODS, SERVICEACCOUNTS, Obj, ObjectRef, at
from irkit.model.plan import Confirm
from irkit.ports import Kept, Observed
from irkit.steps.quarantine_pods import why_not
from irkit.text import printable

_AFTER_IT = "; what starts in its place on that node is given the new values, so rotate them again once the node is replaced"


@dataclass(frozen=True, slots=True)
class Rotate:
    """End state: every credential in scope has a new value, all that use it run with that, and the old value is dead.

    Where ``pods`` are given, those are in scope that they could reach; where ``secrets`` are, those of that name in the
    incident's namespace; of an incident about a namespace, without either, all of its Secrets. What was begun
    stays in scope, whatever was changed since. The order is renew, restart in waves with a health gate between, retire;
    ``revoke_first`` retires before it restarts and accepts the outage. Pods that a restart ends are collected first,
    unless ``without_evidence`` says why not.
    """

    kind: ClassVar[str] = "rotate"
    confirm: ClassVar[Confirm] = "ask"

    pods: Pods = ()
    secrets: tuple[str, ...] = ()
    classes: tuple[Class, ...] = ()
    include: tuple[Literal["serviceaccount"], ...] = ()
    due: bool = False
    revoke_first: bool = False
    without_evidence: str = ""

    def plan(self, incident: Incident, seen: Observed) -> Iterator[Change]:
        scope = self._scope(incident, seen, self._found(incident, seen))
        renewing = [_change(c, "renew", seen) for c in scope]
        todo = [c for c in renewing if not _tried(c, seen)]
        yield from todo
        new = {c.credential.id for c in renewing if c in todo or c.mark in seen.marks}
        renewed = [c for c in scope if c.id in new]
        users = _Users(renewed, incident, seen)
        retires = [_change(r, "retire", seen, users.tokens(r)) for r in renewed]
        retiring = [c for c in retires if not _tried(c, seen)]
        if self.revoke_first:
            yield from retiring
        ended = set() if self.revoke_first else {c.credential.id for c in retires if c.mark in seen.marks}
        yield from users.restarts(seen, ended, capture=not self.without_evidence)
        if not self.revoke_first:
            yield from retiring

    def notes(self, incident: Incident, seen: Observed) -> Iterator[str]:
        found = self._found(incident, seen)
        scope = self._scope(incident, seen, found)
        for credential in scope:
            yield from rotators.choose(credential, seen).notes(credential, seen)
        for reader, name in {reader: c.name for c in scope for reader in c.source.readers}.items():
            yield printable(f"{reader} reads the same as {name}: it gets the new value at its next refresh; restart there what uses it", 600)
        elsewhere = sorted({c.ref.namespace for c in found} - _inside(incident, seen))
        if elsewhere:
            yield printable(f"credentials in other namespaces could be reached too, and are not rotated by this step: {', '.join(elsewhere)}", 600)
        users = _Users(scope, incident, seen)
        for consumer in users.all:
            if consumer.why and consumer.pods:
                yield f"{consumer.ref} goes on with the old value: {consumer.why}"
        yield from users.kept()

    def _scope(self, incident: Incident, seen: Observed, found: Sequence[Credential]) -> list[Credential]:
        """Of what was found, what is in scope now and what was begun, each once; only in the incident's namespace, or those of a node's pods."""
        begun = [c.credential for c in seen.begun if isinstance(c, changes.Rotate) and c.step == seen.step]
        inside = _inside(incident, seen)
        own = moved.own(begun, incident)
        now = [c for c in found if c.ref.namespace in inside and self._wanted(c) and (c.ref.namespace, c.ref.name) not in own]
        return list({c.id: c for c in [*now, *begun]}.values())

    def _wanted(self, credential: Credential) -> bool:
        if credential.cls == "token" and "serviceaccount" not in self.include:
            return False
        return not self.classes or credential.cls in self.classes

    def _found(self, incident: Incident, seen: Observed) -> list[Credential]:
        namespace = incident.target.namespace
        if self.pods or not (self.secrets or incident.target.pod.resource == NAMESPACES):
            found = credentials.of_pods(_objects(self.pods, incident, seen), seen.cluster, seen.settings, seen.now)
        elif self.secrets:
            begun = [c.credential for c in seen.begun if isinstance(c, changes.Rotate)]
            replaced = moved.moves(begun, incident).get(namespace, {})  # which may be deleted by now
            found = credentials.of_secrets([s for s in self.secrets if s not in replaced], namespace, seen.cluster, seen.settings, seen.now)
        else:
            found = credentials.of_namespace(namespace, seen.cluster, seen.settings, seen.now)
        return [f.credential for f in found if not self.due or credentials.due(f, seen.settings.rotation)]


class _Users:
    """Who uses the renewed credentials, and the mark by which each tells that its pods started after the change."""

    def __init__(self, renewed: Sequence[Credential], incident: Incident, seen: Observed) -> None:
        moves, kept = moved.moves(renewed, incident), _keepers(incident, seen)
        self._consumers = {n: credentials.Consumers(n, seen.cluster, moves.get(n), kept) for n in sorted({c.ref.namespace for c in renewed})}
        self._renewed = renewed
        self._uses: dict[str, tuple[credentials.Consumer, list[str]]] = {}
        self._of: dict[str, list[str]] = {}
        for credential in renewed:
            for consumer in self._consumers[credential.ref.namespace].of(credential.ref):
                self._uses.setdefault(consumer.ref.uid, (consumer, []))[1].append(credential.id)
                self._of.setdefault(credential.id, []).append(consumer.ref.uid)
        self._tokens = {uid: _token(incident, ids) for uid, (_, ids) in self._uses.items()}

    @property
    def all(self) -> list[credentials.Consumer]:
        return [consumer for consumer, _ in self._uses.values()]

    def tokens(self, credential: Credential) -> Mapping[str, str]:
        return {uid: self._tokens[uid] for uid in self._of.get(credential.id, ())}

    def restarts(self, seen: Observed, ended: AbstractSet[str], *, capture: bool) -> Iterator[Change]:
        """Captures of all that end, then wave by wave: restart, and wait until they are ready; first for those of an interrupted run.

        ``ended``: credentials whose old values were ended after the restarts. Who had no pods then started with the new values
        since, and bears no mark of a restart.
        """
        able = [(c.ref, self._consumers[c.ref.namespace], self._tokens[c.ref.uid]) for c, ids in self._uses.values()
                if not set(ids) <= ended and _able(c)]  # fmt: skip
        found = [patch for ref, users, token in able if (patch := users.restart(ref, token))]
        yield from (Await(condition="ready", ref=ref) for ref, users, token in able if users.settling(ref, token))
        for pod in dict.fromkeys(p for patch in found for p in patch.ends if capture and p.uid not in seen.captured):
            yield Capture(pod=pod, take=VITAL)
        for users in self._consumers.values():
            yield from users.accounts()
        size = seen.settings.rotation.wave
        while found:  # what the first wave showed to be well, the next ones do to more
            wave, found, size = found[:size], found[size:], size * 2
            yield from wave
            yield from (Await(condition="ready", ref=patch.ref) for patch in wave if patch.action == "restart")

    def kept(self) -> Iterator[str]:
        """Who is evidence of an incident: left alone where that can be, else what a restart ends."""
        apart = {pod: keeper for c in self._renewed for pod, keeper in self._consumers[c.ref.namespace].apart(c.ref).items()}
        for keeper in dict.fromkeys(apart.values()):
            names = ", ".join(str(pod) for pod, by in apart.items() if by == keeper)
            yield printable(f"not restarted, kept cut off as evidence of incident {keeper}: {names}", 600)
        for consumer in filter(_able, self.all):
            users = self._consumers[consumer.ref.namespace]
            patch = users.restart(consumer.ref, self._tokens[consumer.ref.uid])
            ends = users.keepers(patch.ends if patch else ())
            for keeper in dict.fromkeys(ends.values()):
                names = ", ".join(str(pod) for pod, by in ends.items() if by == keeper)
                after = _AFTER_IT if consumer.ref.resource == DAEMONSETS else ""
                yield printable(f"the restart of {consumer.ref} ends what incident {keeper} keeps, once it is collected: {names}{after}", 900)


def _keepers(incident: Incident, seen: Observed) -> Kept:
    """Whom incidents keep; of this one about a node, also its pods that nothing cuts off."""
    kept = credentials.with_own(incident, seen.begun, seen.kept)
    if incident.target.pod.resource != NODES:
        return kept
    bound = {pod.uid for pod in incident.target.siblings}
    return lambda pods: {**kept(pods), **{uid: incident.id for p in pods if (uid := p["metadata"].get("uid", "")) in bound and why_not(p)}}


def _able(consumer: credentials.Consumer) -> bool:
    """Whether it is given the new values: restarted, or a CronJob, whose next run gets them."""
    return not consumer.why or consumer.ref.resource == CRONJOBS


def _tried(change: changes.Rotate, seen: Observed) -> bool:
    """Whether it was done, or this run tried it in vain already."""
    return change.mark in seen.marks or f"{change.mark}@{seen.run}" in seen.marks


def _change(credential: Credential, stage: Literal["renew", "retire"], seen: Observed, tokens: Mapping[str, str] | None = None) -> changes.Rotate:
    rotator = rotators.choose(credential, seen)
    return changes.Rotate(credential=credential, rotator=rotator.name, stage=stage, step=seen.step, rights=rotator.permissions(credential),
                          tokens=dict(tokens or {}))  # fmt: skip


def _token(incident: Incident, ids: Sequence[str]) -> str:
    """Says which credentials a workload's pods have anew: other credentials, another restart."""
    return f"{incident.short}-{hashlib.sha256(chr(10).join(sorted(ids)).encode()).hexdigest()[:12]}"


def _inside(incident: Incident, seen: Observed) -> set[str]:
    """The namespaces whose credentials are rotated."""
    if incident.target.namespace:
        return {incident.target.namespace}
    return {pod.namespace for pod in incident.target.siblings} - set(seen.settings.protected_namespaces)


def _objects(pods: Sequence[ObjectRef], incident: Incident, seen: Observed) -> list[Obj]:
    """The pods as they are, and what their workload would start: of a pod that is gone, that is what is left."""
    listed = {at(p, ("metadata", "uid")): p for n in sorted({pod.namespace for pod in pods}) for p in seen.cluster.list(PODS, n)}
    found = [listed[pod.uid] for pod in pods if pod.uid in listed]
    target = incident.target.pod
    if target.resource == SERVICEACCOUNTS:  # also its pods of today; and its token is used from outside, as a pod of that account could
        found = [p for p in seen.cluster.list(PODS, target.namespace) if (at(p, ("spec", "serviceAccountName")) or "default") == target.name]
        account = {"name": target.name, "namespace": target.namespace}
        found.append({"apiVersion": "v1", "kind": "Pod", "metadata": account, "spec": {"serviceAccountName": target.name}})
    workload = incident.target.stoppable
    if workload is not None:
        try:
            obj = seen.cluster.get(workload)
        except NotFoundError:
            return found
        found.append(credentials.template(workload, obj))
    return found
