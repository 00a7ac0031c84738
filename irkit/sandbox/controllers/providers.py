"""What External Secrets Operator reads for an ExternalSecret: its store, and the store's entries in the rehearsal cluster's Vault.

Only ``provider.vault`` with ``auth.tokenSecretRef`` is known. The messages are those of the operator 0.20 (seen).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable

import msgspec

from irkit.model.kube import Obj, at
from irkit.sandbox.catalog import CLUSTER_SECRET_STORES, SECRET_STORES, SECRETS, Served
from irkit.sandbox.store import Store
from irkit.sandbox.vault import Vault
from irkit.sandbox.vault.messages import Asked

IN_CLUSTER = "https://vault.vault.svc:8200"
"""How stores inside the rehearsal cluster name its Vault."""


class Trouble(Exception):
    """Why a value could not be had, in the operator's words."""


class Hanging(Exception):
    """The Vault does not answer, and the operator waits."""


class Provider:
    """The Vault behind a store."""

    def __init__(self, store: Store, vault: Vault, reaches: Callable[[str], bool]) -> None:
        self._store, self._vault, self._reaches = store, vault, reaches

    def values(self, secret: Obj) -> dict[str, bytes]:
        """What the target shall hold. Raises Trouble, Hanging."""
        namespace, spec = secret["metadata"]["namespace"], secret["spec"]
        found: dict[str, bytes] = {}
        for n, item in enumerate(spec.get("dataFrom") or ()):
            key = at(item, ("extract", "key"))
            if key is None:
                raise Trouble(f"error processing spec.dataFrom[{n}], err: only extract is known to a rehearsal")
            where = f"error processing spec.dataFrom[{n}].extract, err: "
            entry = self._entry(spec, namespace, item["extract"], where)
            found |= {name: encoded(value) for name, value in entry.items()}
        for n, item in enumerate(spec.get("data") or ()):
            remote = item["remoteRef"]
            where = f"error processing spec.data[{n}] (key: {remote['key']}), err: "
            entry, wanted = self._entry(spec, namespace, remote, where), remote.get("property", "")
            if wanted and wanted not in entry:
                raise Trouble(f'{where}cannot find secret data for key: "{wanted}"')
            found[item["secretKey"]] = encoded(entry[wanted]) if wanted else msgspec.json.encode(entry, order="deterministic")
        return found

    def _entry(self, spec: Obj, namespace: str, remote: Obj, where: str) -> Obj:
        reference = spec.get("secretStoreRef") or {}
        kind, name = reference.get("kind", "SecretStore"), reference.get("name", "")
        served = CLUSTER_SECRET_STORES if kind == "ClusterSecretStore" else SECRET_STORES
        store = self._store.get(served, "" if kind == "ClusterSecretStore" else namespace, name)
        if store is None:
            raise Trouble(f'{where}could not get {kind} "{name}", {kind}.external-secrets.io "{name}" not found')
        try:
            return self._read(served, store, namespace, remote)
        except Trouble as trouble:
            raise Trouble(f"{where}{trouble}") from None

    def _read(self, served: Served, store: Obj, namespace: str, remote: Obj) -> Obj:
        vault = at(store, ("spec", "provider", "vault"))
        if vault is None:
            raise Trouble("failed to find registered store backend for this provider")
        mount, key = vault.get("path", "").strip("/"), remote["key"].strip("/")
        path = f"{mount}/{key}" if vault.get("version", "v2") == "v1" else f"{mount}/data/{key}"
        query = {"version": remote["version"]} if remote.get("version") else {}
        told = self.ask(served, store, namespace, path, query)
        entry = told if vault.get("version", "v2") == "v1" else (told or {}).get("data")
        if entry is None:
            raise Trouble("Secret does not exist")
        return dict(entry)

    def ask(self, served: Served, store: Obj, namespace: str, path: str, query: dict[str, str] | None = None) -> Obj | None:
        """What the store's Vault tells of a path, by the store's token; None where there is nothing. Raises Trouble, Hanging."""
        vault = store["spec"]["provider"]["vault"]
        server, url = str(vault.get("server", "")), f"{str(vault.get('server', '')).rstrip('/')}/v1/{path}"
        token = self._token(served, store, namespace)
        if not self._reaches(server.rstrip("/")):
            host = server.partition("://")[2].partition("/")[0].partition(":")[0]
            raise Trouble(f'cannot read secret data from Vault: Get "{url}": dial tcp: lookup {host}: no such host')
        if self._vault.hanging.is_set():
            raise Hanging
        told = self._vault.answer(Asked("GET", path, token=token, namespace=vault.get("namespace", ""), query=query or {}))
        if told.code == 404:
            return None
        if told.code >= 400:
            errors = "\n".join(f"* {error}" for error in (told.plain or {}).get("errors", ()))
            raise Trouble(f"cannot read secret data from Vault: Error making API request.\n\nURL: GET {url}\nCode: {told.code}. Errors:\n\n{errors}")
        return told.data

    def _token(self, served: Served, store: Obj, namespace: str) -> str:
        reference = at(store, ("spec", "provider", "vault", "auth", "tokenSecretRef"))
        if reference is None:
            raise Trouble("unable to log in to auth method: this rehearsal knows tokenSecretRef only")
        where = reference.get("namespace", namespace) if served.resource.kind == "ClusterSecretStore" else namespace
        secret = self._store.get(SECRETS, where, reference["name"])
        if secret is None:
            raise Trouble(f'unable to log in to auth method: cannot get Kubernetes secret "{reference["name"]}" from namespace "{where}"')
        try:
            return base64.b64decode((secret.get("data") or {}).get(reference.get("key", "token"), "")).decode()
        except (binascii.Error, UnicodeDecodeError):
            return ""


def encoded(value: object) -> bytes:
    """A property as the target holds it: text as it is, the rest as JSON."""
    return value.encode() if isinstance(value, str) else msgspec.json.encode(value)
