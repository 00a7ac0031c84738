"""A cluster with a Vault and External Secrets Operator, as rotators see them: the rehearsal cluster's, or the real ones."""

from __future__ import annotations

import base64
import itertools
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec

from irkit import credentials, rotators
from irkit.errors import NotFoundError
from irkit.model.credential import CLASS_ANNOTATION, Credential
from irkit.model.incident import ClusterIdentity, Incident, Operator, Target
from irkit.model.kube import NAMESPACES, PODS, SECRETS, Obj, ObjectRef, Resource, at, ref_of
from irkit.model.outcome import Outcome
from irkit.ports import Observed, Ports
from irkit.rotators import Rotator
from irkit.rotators.base import Before, Tools
from tests.contracts.vaults import VaultFace
from tests.engine.harness import Script

EXTERNALSECRETS = Resource("external-secrets.io", "v1", "externalsecrets", "ExternalSecret")
STORES = Resource("external-secrets.io", "v1", "secretstores", "SecretStore")
KEY = b"incident key"
_numbers = itertools.count()


@dataclass
class World:
    """One namespace, one KV mount, the store ``vault`` between them. ``ports`` may be replaced by wrapped ones."""

    ports: Ports
    vault: VaultFace
    namespace: str
    kv: str
    approver: Script = field(default_factory=Script)

    @property
    def incident(self) -> Incident:
        pod = ObjectRef(resource=PODS, name="backend-1", namespace=self.namespace, uid="u1")
        return Incident(id="20261122T031502Z-backend-k7q2", opened="2026-11-22T03:15:02Z", operator=Operator(name="oncall"), playbook="leaked-secret",
                        cluster=ClusterIdentity(context="c", server="s", uid="u"), target=Target(pod=pod))  # fmt: skip

    def tools(self, *, seconds: float = 20, ports: Ports | None = None) -> Tools:
        ports = ports or self.ports
        return Tools(msgspec.structs.replace(ports, approver=self.approver), self.incident, KEY, ports.clock.monotonic() + seconds)

    def set(self, **sections: Any) -> None:
        self.ports = msgspec.structs.replace(self.ports, settings=msgspec.structs.replace(self.ports.settings, **sections))

    # the Vault

    def put(self, path: str = "prod/app", **data: Any) -> int:
        made = self.vault.ok("POST", f"{self.kv}/data/{path}", {"data": data})
        return int(made["version"])

    def entry(self, path: str = "prod/app", version: int = 0) -> Any:
        """The data of an entry; None where that version can't be read."""
        reply = self.vault.ask("GET", f"{self.kv}/data/{path}" + (f"?version={version}" if version else ""))
        return reply.data["data"] if reply.code == 200 else None

    def about(self, path: str = "prod/app") -> Any:
        return self.vault.ok("GET", f"{self.kv}/metadata/{path}")

    # the cluster

    def create(self, resource: Resource, name: str, body: Obj, **annotations: str) -> Obj:
        meta = {"name": name, "namespace": self.namespace, "annotations": annotations}
        return self.ports.cluster.create(resource, {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": meta, **body})

    def secret(self, name: str, classes: str | dict[str, str], data: Mapping[str, str], **more: Any) -> Obj:
        text = classes if isinstance(classes, str) else json.dumps(classes)
        body = {"data": {k: base64.b64encode(v.encode()).decode() for k, v in data.items()}, **more}
        return self.create(SECRETS, name, body, **{CLASS_ANNOTATION: text})

    def external(
        self, name: str, classes: str | dict[str, str], keys: dict[str, str], *, path: str = "prod/app", wait: bool = True, **spec: Any
    ) -> Obj:
        """An ExternalSecret and its Secret of that name; ``keys``: of the Secret → property."""
        data = [{"secretKey": key, "remoteRef": {"key": path, "property": prop}} for key, prop in keys.items()]
        text = classes if isinstance(classes, str) else json.dumps(classes)
        body = {
            "spec": {"secretStoreRef": {"name": "vault", "kind": "SecretStore"}, "refreshInterval": "1h", **({"data": data} if data else {}), **spec}
        }
        made = self.create(EXTERNALSECRETS, name, body, **{CLASS_ANNOTATION: text})
        if wait:
            until(lambda: self.values(name), f"{name} is synced")
        return made

    def patch(self, resource: Resource, name: str, body: Obj) -> Obj:
        return self.ports.cluster.patch(ObjectRef(resource=resource, name=name, namespace=self.namespace), body)

    def get(self, resource: Resource, name: str) -> Obj | None:
        try:
            return self.ports.cluster.get(ObjectRef(resource=resource, name=name, namespace=self.namespace))
        except NotFoundError:
            return None

    def values(self, name: str) -> dict[str, str]:
        found = self.get(SECRETS, name) or {}
        return {k: base64.b64decode(v).decode() for k, v in at(found, ("data",), {}).items()}

    # rotating

    def seen(self) -> Observed:
        return Observed(cluster=self.ports.cluster, now=datetime.now(UTC), settings=self.ports.settings, step="rotate", run="run")

    def credentials(self, *names: str) -> list[Credential]:
        found = credentials.of_secrets(names, self.namespace, self.ports.cluster, self.ports.settings, datetime.now(UTC))
        return [f.credential for f in found]

    def credential(self, name: str) -> Credential:
        (found,) = self.credentials(name)
        return found

    def rotator(self, credential: Credential) -> Rotator:
        return rotators.choose(credential, self.seen())

    def agent(self, path: str = "prod/app", cls: str = "generated") -> Credential:
        """What a Vault agent reads."""
        from irkit.credentials.sources import of_agent

        ref = ObjectRef(resource=Resource("vault.hashicorp.com", "v1", "entries", "VaultEntry"), name=path, namespace=self.namespace)
        return Credential(ref=ref, cls=cls, source=of_agent(f"{self.kv}/data/{path}", {}))  # type: ignore[arg-type]

    def begin(self, credential: Credential) -> Before:
        return self.rotator(credential).before(credential, self.tools())

    def renew(self, credential: Credential, before: Before | None = None, **options: Any) -> Outcome:
        return self.rotator(credential).renew(credential, before or self.begin(credential), self.tools(**options))

    def rotate(self, credential: Credential) -> tuple[Before, Outcome, Outcome]:
        """All three stages."""
        before = self.begin(credential)
        return before, self.renew(credential, before), self.rotator(credential).retire(credential, before, self.tools())


def until(met: Callable[[], Any], what: str, seconds: float = 20) -> Any:
    end = time.monotonic() + seconds
    while not (found := met()):
        assert time.monotonic() < end, f"{what}: not after {seconds} s"
        time.sleep(0.02)
    return found


def build(ports: Ports, vault: VaultFace) -> World:
    """A world of the test's own."""
    world = World(ports, vault, f"rotators-{next(_numbers)}", vault.mount("kv", "2"))
    ports.cluster.create(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": world.namespace}})
    world.create(SECRETS, "vault-token", {"data": {"token": base64.b64encode(vault.root.encode()).decode()}})
    provider = {"server": vault.url, "path": world.kv, "version": "v2", "auth": {"tokenSecretRef": {"name": "vault-token", "key": "token"}}}
    world.create(STORES, "vault", {"spec": {"provider": {"vault": provider}}})
    return world


def remove(world: World) -> None:
    cluster = world.ports.cluster
    for one in cluster.list(EXTERNALSECRETS, world.namespace):
        cluster.delete(ref_of(one, EXTERNALSECRETS))
    cluster.delete(ObjectRef(resource=NAMESPACES, name=world.namespace))
