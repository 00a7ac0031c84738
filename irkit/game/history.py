"""What only who looks all the time can say: how long a Service was down, when a Secret changed, which policies were there."""

from __future__ import annotations

from datetime import datetime, timedelta

from irkit.model.kube import ENDPOINTSLICES, NETWORKPOLICIES, PODS, SECRETS, Obj, at, is_ready, labels_of
from irkit.stage import Stage

Key = tuple[str, str]
"""Namespace and name."""


class History:
    """Looked at again after each turn; costs nothing where nothing was written."""

    def __init__(self, stage: Stage) -> None:
        self.policies: dict[Key, Obj] = {key_of(p): dict(p.get("spec") or {}) for p in stage.objects(NETWORKPOLICIES)}
        self.restarts: dict[str, int] = {p["metadata"]["uid"]: restarts(p) for p in stage.objects(PODS)}
        self._serving = serving(stage)
        self._down: dict[Key, datetime] = {}
        self._outage: dict[Key, timedelta] = {}
        self._outages: list[tuple[Key, datetime, datetime | None]] = []
        self._secrets = _data(stage)
        self._changed: dict[Key, datetime] = {}
        self._version = stage.version

    def look(self, stage: Stage) -> None:
        if stage.version == self._version:
            return
        self._version, now = stage.version, stage.now()
        up = serving(stage)
        for service in self._serving - up - self._down.keys():
            self._down[service] = now
        for service in self._down.keys() & up:
            self._outages.append((service, self._down[service], now))
            self._outage[service] = self._outage.get(service, timedelta()) + now - self._down.pop(service)
        data = _data(stage)
        self._changed |= {key: now for key in data if data[key] != self._secrets.get(key)}
        self._secrets = data

    def outage(self, service: Key, now: datetime) -> float:
        """Seconds for which a Service that had ready endpoints when the game began had none, until now."""
        closed = self._outage.get(service, timedelta())
        return (closed + (now - self._down[service] if service in self._down else timedelta())).total_seconds()

    def down(self) -> list[tuple[Key, datetime, datetime | None]]:
        """Every outage so far, in order: of which Service, from when, to when, which is None while it lasts."""
        lasting = [(service, began, None) for service, began in self._down.items()]
        return sorted([*self._outages, *lasting], key=lambda each: (each[1], each[0]))

    def served(self, service: Key) -> bool:
        """Whether it had ready endpoints when the game began."""
        return service in self._serving

    def changed(self, secret: Key) -> datetime | None:
        """When the data of a Secret last changed in this game."""
        return self._changed.get(secret)


def serving(stage: Stage) -> set[Key]:
    """The Services that have a ready endpoint: a pod that is there and ready, whatever somebody writes into a slice."""
    ready = {key_of(p) for p in stage.objects(PODS) if is_ready(p)}
    return {(key_of(s)[0], labels_of(s).get("kubernetes.io/service-name", "")) for s in stage.objects(ENDPOINTSLICES)
            if any(at(e, ("conditions", "ready"), False) and (key_of(s)[0], at(e, ("targetRef", "name"))) in ready
                   for e in s.get("endpoints") or ())}  # fmt: skip


def restarts(pod: Obj) -> int:
    """How often its containers were restarted, all in all."""
    return sum(s.get("restartCount", 0) for s in at(pod, ("status", "containerStatuses"), ()))


def key_of(obj: Obj) -> Key:
    return str(at(obj, ("metadata", "namespace"), "")), str(at(obj, ("metadata", "name"), ""))


def pair(text: str) -> Key:
    """``namespace/name``."""
    namespace, _, name = text.partition("/")
    return namespace, name


def triple(text: str) -> tuple[str, str, str]:
    """``namespace/name/key``: of a key in the data of an object."""
    namespace, rest = pair(text)
    name, _, key = rest.partition("/")
    return namespace, name, key


def _data(stage: Stage) -> dict[Key, Obj]:
    return {key_of(s): s.get("data") or {} for s in stage.objects(SECRETS)}
