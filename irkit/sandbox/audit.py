"""What was asked of the rehearsal cluster, in the shape of the API server's audit log (audit.k8s.io/v1, level Metadata).

As there, field manager and dry run are in ``requestURI``; watches and logs give an event when they start and one when
they end. A log whose reader went away before it had been sent all of it ends in stage Panic, by which it is told from one that was read.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Literal

import msgspec

from irkit.model.kube import Obj
from irkit.ports import Clock
from irkit.sandbox.api.call import Call
from irkit.sandbox.clock import micro
from irkit.sandbox.names import Names

Stage = Literal["ResponseStarted", "ResponseComplete", "Panic"]
STAGES: tuple[Stage, ...] = ("ResponseStarted", "ResponseComplete", "Panic")


class Audit:
    """``events`` in the order in which responses began or ended, and as JSON lines in ``path`` where one is given."""

    def __init__(self, clock: Clock, names: Names, path: Path | None = None) -> None:
        self.events: list[Obj] = []
        self._clock, self._names = clock, names
        self._lock = threading.Lock()
        self._file = path.open("ab", buffering=0) if path else None

    def begin(self) -> str:
        return micro(self._clock.now())

    def record(self, call: Call, received: str, code: int, stage: Stage) -> str:
        """Write it down; returns the event's auditID."""
        event: Obj = {
            "kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": "Metadata", "auditID": self._names.uid("audit"), "stage": stage,
            "requestURI": call.uri, "verb": call.verb, "user": call.user.info, "sourceIPs": ["127.0.0.1"],
            "userAgent": call.user_agent, "responseStatus": {"metadata": {}, "code": code},
            "requestReceivedTimestamp": received, "stageTimestamp": micro(self._clock.now()),
            "annotations": {"authorization.k8s.io/decision": "forbid" if code == 403 else "allow"},
        }  # fmt: skip
        if call.served is not None:
            resource = call.served.resource
            reference = {"resource": resource.plural, "namespace": call.namespace, "name": call.name, "apiGroup": resource.group,
                         "apiVersion": resource.version, "subresource": call.subresource}  # fmt: skip
            event["objectRef"] = {key: value for key, value in reference.items() if value}
        with self._lock:
            self.events.append(event)
            if self._file:
                self._file.write(msgspec.json.encode(event) + b"\n")
        return str(event["auditID"])

    def close(self) -> None:
        if self._file:
            self._file.close()
