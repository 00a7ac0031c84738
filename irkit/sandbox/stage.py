"""What a game sees and does in a rehearsal cluster behind its players' backs; implements `irkit.stage.Stage`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import msgspec

from irkit.model.kube import Obj, ObjectRef, Resource, annotations_of
from irkit.sandbox import rbac, validation
from irkit.sandbox.api.call import Answer, read
from irkit.sandbox.box import Sandbox
from irkit.sandbox.catalog import NAMESPACES, PODS, SERVICEACCOUNTS
from irkit.sandbox.controllers import argocd, flux, node, owners
from irkit.sandbox.defaults import complete
from irkit.sandbox.failures import Failure, invalid, not_found, unauthorized
from irkit.sandbox.logs import Line, nanoseconds
from irkit.sandbox.patches.merge import merge
from irkit.sandbox.world import digest
from irkit.stage import Asked, Origin

STRANGER = "kube-probe"
AGE = "sandbox.irkit.dev/days"
"""Annotation of what a scenario adds: how many days ago it was written."""
_META = ("name", "namespace", "labels", "annotations", "ownerReferences", "finalizers")
_ADD_ONS = {(a.resource.api_version, a.resource.kind): serve for a, serve in ((argocd.APPLICATIONS, argocd.serve), (flux.KUSTOMIZATIONS, flux.serve))}
"""What is installed once a scenario has an object of its kind."""


class BoxStage:
    """A running `Sandbox` with turns."""

    def __init__(self, box: Sandbox) -> None:
        assert box.tape is not None, "a game needs turns"
        self._box, self._tape, self._suspect = box, box.tape, box.suspect
        self._own: set[str] = set()  # auditIDs of what was asked with stolen tokens

    @property
    def suspect(self) -> tuple[str, str]:
        return self._suspect

    def cast(self, namespace: str, name: str) -> None:
        self._suspect = (namespace, name)

    @property
    def images(self) -> Mapping[str, str]:
        return self._box.scenario.images

    @property
    def environment(self) -> Mapping[str, str]:
        return self._box.environment

    @property
    def asked(self) -> Sequence[Obj]:
        return self._box.audit

    def plays(self, event: Obj) -> bool:
        """Its controllers ask nothing through the API: whoever does plays, by whatever account."""
        return event["auditID"] not in self._own

    @property
    def version(self) -> int:
        return self._box.store.version

    def now(self) -> datetime:
        return self._box.store.now()

    def admit(self, name: str) -> Mapping[str, str]:
        return {**self._box.environment, "KUBECONFIG": str(self._box.token_for(name, ("oncall", rbac.MASTERS)))}

    # once more

    @property
    def origin(self) -> Origin:
        return self._box.origin

    def digest(self) -> str:
        return digest(self._box.store, self._box.vault, self._box.logs)

    def again(self, asked: Asked) -> None:
        self._tape.again(asked, self._box.router, self._box.recorder, self._box.vault)

    # looking

    def objects(self, resource: Resource, namespace: str | None = None) -> Sequence[Obj]:
        if not self._serves(resource):
            return ()
        return self._box.store.all(self._box.store.catalog.of_resource(resource), namespace)

    def find(self, ref: ObjectRef) -> Obj | None:
        found = self._box.store.find(ref.resource, ref.name, ref.namespace) if self._serves(ref.resource) else None
        return found if found and ref.uid in ("", found["metadata"]["uid"]) else None

    def kinds(self) -> dict[str, Resource]:
        groups = self._box.store.catalog.groups().values()
        return {served.resource.kind: served.resource for versions in groups for kinds in versions.values() for served in kinds}

    def entry(self, path: str) -> Mapping[str, Any]:
        try:
            return dict(self._box.vault.read(path).get("data") or {})
        except ValueError:
            return {}

    def accepts(self, role: str, password: str) -> bool:
        self._box.vault.sweep()
        return self._box.database.accepts(role, password)

    # doing

    def fill(self, path: str, properties: Mapping[str, str]) -> None:
        self._box.vault.write(f"secret/data/{path}", {"data": dict(properties)})

    def put(self, obj: Obj) -> None:
        try:
            self._put(obj)
        except Failure as failure:
            raise ValueError(failure.message) from None
        except (AttributeError, IndexError, TypeError):  # there are no schemas
            raise ValueError(f"it has not the shape of a {obj['kind']}") from None

    def _put(self, obj: Obj) -> None:
        resource = self._resource(obj)
        meta = obj["metadata"]
        days = annotations_of(obj).get(AGE, "")
        if days.isdecimal() and len(days) < 5:
            with self._box.store.at(self.now() - timedelta(days=int(days))):
                self._add(resource, meta, obj)
        else:
            self._add(resource, meta, obj)

    def _add(self, resource: Resource, meta: Obj, obj: Obj) -> None:
        store, served, namespace = self._box.store, self._box.store.catalog.of_resource(resource), meta.get("namespace", "")
        if resource.namespaced != bool(namespace):
            raise ValueError("it needs 'metadata.namespace'" if resource.namespaced else "its kind is in no namespace")
        if resource.namespaced and store.get(NAMESPACES, "", namespace) is None:
            raise not_found(NAMESPACES, namespace)
        found = store.find(resource, meta["name"], namespace)
        obj = {**obj, "metadata": {key: value for key, value in meta.items() if key in _META}}
        if causes := validation.creating(served, complete(obj if found is None else merge(found, obj))):
            raise invalid(served, meta["name"], causes)
        if found is None:
            store.add(obj)
        else:
            store.patch(resource, meta["name"], obj, namespace)

    def change(self, ref: ObjectRef, body: Obj) -> bool:
        if self.find(ref) is None:
            return False
        self._box.store.patch(ref.resource, ref.name, body, ref.namespace)
        return True

    def end(self, ref: ObjectRef) -> bool:
        found = self.find(ref)
        if found is None:
            return False
        owners.terminate(self._box.store, self._box.store.catalog.of_resource(ref.resource), found)
        return True

    def say(self, namespace: str, pod: str, text: str) -> bool:
        found = self._box.store.get(PODS, namespace, pod)
        if found is None:
            return False
        uid, container = found["metadata"]["uid"], found["spec"]["containers"][0]["name"]
        before, line = self._box.logs.find(uid, container), Line(nanoseconds(self.now()), text.encode("utf-8", "surrogateescape"))
        self._box.logs.rewrite(uid, container, lambda: [*(before() if before else ()), line])
        return True

    def crash(self, namespace: str, pod: str) -> bool:
        found = self._box.store.get(PODS, namespace, pod)
        if found is None:
            return False
        node.restart(self._box.store, self._box.logs, namespace, pod, found["spec"]["containers"][0]["name"])
        return True

    def steal(self, namespace: str, account: str, pod: str = "") -> str:
        found = self._box.store.get(SERVICEACCOUNTS, namespace, account)
        bound = self._box.store.get(PODS, namespace, pod) if pod else None
        return self._box.accounts.mint(found, [], 31_536_000, bound) if found else ""

    def use(self, token: str, method: str, path: str, body: Obj | None = None) -> int:
        box, received = self._box, self._box.recorder.begin()
        raw = b"" if body is None else msgspec.json.encode(body)
        headers = {"User-Agent": STRANGER, "Content-Type": "application/json" if method != "PATCH" else "application/merge-patch+json"}
        try:
            call = read(box.store.catalog, method, path, headers, raw, rbac.ANONYMOUS)
        except Failure as failure:  # of what is no address there is nothing to write down
            return failure.code
        try:
            user = box.authenticate(token)
            if user is None:
                raise unauthorized()
            call = replace(call, user=user)
            answer = box.router.answer(call)
        except Failure as failure:
            answer = Answer(failure.status(), failure.code)
        self._own.add(box.recorder.record(call, received, answer.code, "ResponseComplete"))
        return answer.code

    def seal(self, sealed: bool) -> None:
        self._box.vault.sealed = sealed

    def _serves(self, resource: Resource) -> bool:
        return self._box.store.catalog.of(resource.api_version, resource.kind) is not None

    def _resource(self, obj: Obj) -> Resource:
        if serve := _ADD_ONS.get((obj["apiVersion"], obj["kind"])):
            serve(self._box.store.catalog)
        served = self._box.store.catalog.of(obj["apiVersion"], obj["kind"])
        if served is None:
            raise KeyError(f"{obj['apiVersion']} {obj['kind']} is not served")
        return served.resource
