"""A plain Secret of the cluster.

Each write carries uid and resourceVersion. A pending value is in a Secret of irkit's own beside it. A Secret with
``immutable: true`` is never deleted under its consumers and never written: its new values go into another Secret, whose
name irkit chose, and the step moves the consumers there (kubelets keep an immutable Secret's content by its name for as
long as any pod on their node uses it, so that a new one under the old name is not seen).

Source: Kubernetes docs, "Immutable Secrets"; kubelet, pkg/kubelet/util/manager/watch_based_manager.go.
"""

from __future__ import annotations

import base64
import binascii
from contextlib import suppress
from dataclasses import dataclass

from irkit.credentials.moved import pending, successor
from irkit.errors import ConflictError, EndStateError, NotFoundError, RefusedError
from irkit.model.credential import CLASS_ANNOTATION, DATABASE_ANNOTATION, Credential, OldValue
from irkit.model.incident import INCIDENT_LABEL
from irkit.model.kube import SECRETS, Obj, ObjectRef, annotations_of, at, labels_of, ref_of
from irkit.rotators.base import Tools
from irkit.rotators.holders import Kept, Printer, Prints, Values, taken
from irkit.text import printable

_TRIES = 10  # when others write to the Secret at the same time, as for its keys of another class


@dataclass(frozen=True, slots=True)
class KubeSecret:
    """The keys of one credential in one Secret."""

    credential: Credential
    tools: Tools

    @property
    def where(self) -> str:
        return str(self.credential.ref)

    def read(self) -> Kept:
        obj = self._current()
        data = decoded(obj)
        keys = self.credential.keys or tuple(data)
        if missing := [k for k in keys if k not in data]:
            raise EndStateError(f"{self.where} has no key {', '.join(map(printable, missing))} any more", next="irkit blast-radius")
        beside = self._beside()
        waiting = {k: v for k, v in decoded(beside or {}).items() if k in keys}
        return Kept({k: data[k] for k in keys}, waiting, str(at(obj, ("metadata", "resourceVersion"), "")), obj)

    def propose(self, kept: Kept, values: Values) -> Kept:
        body: Obj = {"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "data": encoded(values),
                     "metadata": {"name": self._pending.name, "namespace": self._pending.namespace,
                                  "labels": {INCIDENT_LABEL: self.tools.incident.id, "app.kubernetes.io/managed-by": "irkit"}}}  # fmt: skip
        beside = self._beside()
        if beside is not None:
            self._patch(ref_of(beside, SECRETS), beside, values)
        else:
            self._create(body)
        return Kept(kept.values, {**kept.pending, **values}, kept.version, kept.state)

    def write(self, kept: Kept, values: Values) -> Kept:
        for _ in range(_TRIES):
            try:
                self._replace(kept.state, values)
                break
            except ConflictError:
                now = self.read()
                if now.values == {**kept.values, **values}:  # ours, of which no answer came
                    break
                if now.values != kept.values:
                    raise taken(self.where) from None
                kept = now
        else:
            raise taken(self.where)
        return self.drop(self.read())

    def drop(self, kept: Kept) -> Kept:
        beside = self._beside()
        if beside is not None:
            with suppress(NotFoundError):
                self.tools.ports.cluster.delete(ref_of(beside, SECRETS))
        return Kept(kept.values, {}, kept.version, kept.state)

    def mark(self, kept: Kept) -> str:
        """The journal has it: an annotation would be a difference for whoever manages the Secret."""
        return ""

    def retire(self, old: Prints, printer: Printer, version: str) -> tuple[OldValue, str]:
        now = self.read()
        if held := sorted(k for k, v in now.values.items() if printer(v) in old.values()):
            return "alive", f"{self.where} still holds it, or holds it again ({', '.join(map(printable, held))})"
        if not self.credential.immutable:
            return "untested", f"{self.where} holds another value, and keeps no old ones; nothing was asked to take the old one"
        return self._retire_immutable()

    def _retire_immutable(self) -> tuple[OldValue, str]:
        """Delete the Secret whose consumers were moved, once nobody names it any more."""
        from irkit.credentials import Consumers

        cluster, ref = self.tools.ports.cluster, self.credential.ref
        left = [str(c.ref) for c in Consumers(ref.namespace, cluster, kept=self.tools.kept).of(ref)]
        if left:
            return "alive", f"{self.where} is still used by {', '.join(left)}; irkit deletes it when nobody does"
        with suppress(NotFoundError):
            cluster.delete(ref)
        if moved := self._own(self._successor):
            cluster.patch(ref_of(moved, SECRETS), {"metadata": {"uid": at(moved, ("metadata", "uid"))}, "immutable": True})
        self.tools.wait(lambda: self._get(ref) is None, f"{self.where} was not gone")
        return "dead", f"{self.where} is deleted: reading answers 404; its new values are in {self._successor}"

    @property
    def _successor(self) -> ObjectRef:
        return successor(self.credential.ref, self.tools.incident)

    @property
    def _pending(self) -> ObjectRef:
        return pending(self.credential, self.tools.incident)

    def _get(self, ref: ObjectRef) -> Obj | None:
        """The very object of ``ref``; None where it is gone."""
        try:
            obj = self.tools.ports.cluster.get(ref)
        except NotFoundError:
            return None
        return obj if not ref.uid or at(obj, ("metadata", "uid")) == ref.uid else None

    def _current(self) -> Obj:
        """The Secret that holds the value in force. Raises EndStateError where it vanished."""
        if self.credential.immutable and (moved := self._own(self._successor)):
            return moved
        obj = self._get(self.credential.ref)
        if obj is None:
            raise EndStateError(f"{self.where} is gone, or another one has its name", next="irkit blast-radius")
        return obj

    def _beside(self) -> Obj | None:
        return self._own(self._pending)

    def _own(self, ref: ObjectRef) -> Obj | None:
        """An object of this incident's. Raises RefusedError for somebody else's under its name."""
        obj = self._get(ref)
        if obj is not None and labels_of(obj).get(INCIDENT_LABEL) != self.tools.incident.id:
            raise RefusedError(f"{ref} exists, and is not of this incident", next=f"look at it, and delete it: kubectl get {ref.name}")
        return obj

    def _replace(self, current: Obj, values: Values) -> None:
        """Raises ConflictError where it changed since it was read."""
        if current.get("immutable") and labels_of(current).get(INCIDENT_LABEL) != self.tools.incident.id:
            meta = {"name": self._successor.name, "namespace": self._successor.namespace,
                    "labels": {INCIDENT_LABEL: self.tools.incident.id, "app.kubernetes.io/managed-by": "irkit"},
                    "annotations": {k: v for k, v in annotations_of(current).items() if k in (CLASS_ANNOTATION, DATABASE_ANNOTATION)}}  # fmt: skip
            body: Obj = {"apiVersion": "v1", "kind": "Secret", "type": current.get("type", "Opaque"), "metadata": meta,
                         "data": {**(current.get("data") or {}), **encoded(values)}}  # fmt: skip
            self._create(body)
            return
        self._patch(ref_of(current, SECRETS), current, values)

    def _create(self, body: Obj) -> None:
        self.tools.ports.cluster.create(SECRETS, body)

    def _patch(self, ref: ObjectRef, current: Obj, values: Values) -> None:
        pins = {"uid": ref.uid, "resourceVersion": at(current, ("metadata", "resourceVersion"))}
        try:
            self.tools.ports.cluster.patch(ref, {"metadata": pins, "data": encoded(values)})
        except NotFoundError:
            raise EndStateError(f"{ref} is gone, or another one has its name; nothing was written to it", next="irkit blast-radius") from None


def decoded(secret: Obj) -> dict[str, bytes]:
    """The values of a Secret as the API server sent it."""
    try:
        return {k: base64.b64decode(v or "") for k, v in (secret.get("data") or {}).items()}
    except (binascii.Error, TypeError, ValueError):
        raise EndStateError("the API server sent a Secret that is not base64", next="irkit doctor") from None


def encoded(values: Values) -> dict[str, str]:
    return {k: base64.b64encode(v).decode() for k, v in values.items()}
