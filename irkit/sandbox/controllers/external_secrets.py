"""External Secrets Operator, as far as irkit can see it: Secrets made from entries of the Vault.

After pkg/controllers/externalsecret of 0.20.4: a target is refreshed when the hash of the ExternalSecret's labels and
annotations changes (which is what `force-sync` does), when its spec changes, when ``refreshInterval`` has passed, or when
somebody else changed the target. Time is the sandbox's.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import msgspec

from irkit.model.kube import Obj, annotations_of, at, controller_of, labels_of
from irkit.sandbox.catalog import CLUSTER_SECRET_STORES, EXTERNAL_SECRETS, SECRET_STORES, SECRETS, Catalog, Served
from irkit.sandbox.clock import parse, seconds, stamp
from irkit.sandbox.controllers import events, owners
from irkit.sandbox.controllers.providers import Hanging, Provider, Trouble
from irkit.sandbox.store import Store
from irkit.sandbox.vault import Vault

_MANAGER = "external-secrets"
_FINALIZER = "externalsecrets.external-secrets.io/externalsecret-cleanup"
_HASH, _MANAGED, _MAKER = (f"reconcile.external-secrets.io/{name}" for name in ("data-hash", "managed", "created-by"))
_STORE_REFRESH = 300
"""Seconds until a store is looked at again (``--store-requeue-interval``): a broken one stays "Valid" for that long."""
_BACKOFF, _BACKOFF_LIMIT = 1, 420
"""Seconds until a failed refresh is tried again, doubled each time."""


def serve(catalog: Catalog, *versions: str) -> None:
    """Serve the operator's kinds in these versions, the preferred one first; ``v1`` without any."""
    for version in versions or ("v1",):
        for served in (EXTERNAL_SECRETS, SECRET_STORES, CLUSTER_SECRET_STORES):
            catalog.add(dataclasses.replace(served, resource=msgspec.structs.replace(served.resource, version=version)))


class _Tried(NamedTuple):
    """A refresh that failed: with which version of the ExternalSecret, and when (seconds since 1970) it is worth trying again."""

    version: str
    again: float
    wait: float


class ExternalSecrets:
    """The operator. ``reaches``: whether a store's server is the Vault of this cluster."""

    def __init__(self, vault: Vault, reaches: Callable[[str], bool]) -> None:
        self._vault, self._reaches = vault, reaches
        self._tried: dict[str, _Tried] = {}
        self._validated: dict[str, tuple[int, float]] = {}

    def reconcile(self, store: Store) -> None:
        provider = Provider(store, self._vault, self._reaches)
        for served in (SECRET_STORES, CLUSTER_SECRET_STORES):
            for one in store.all(served):
                self._validate(store, provider, served, one)
        for secret in store.all(EXTERNAL_SECRETS):
            if "deletionTimestamp" in secret["metadata"]:
                _let_go(store, secret)
            else:
                self._reconcile(store, provider, secret)

    # stores

    def _validate(self, store: Store, provider: Provider, served: Served, one: Obj) -> None:
        meta, now = one["metadata"], store.now().timestamp()
        generation, due = self._validated.get(meta["uid"], (0, 0.0))
        if generation == meta["generation"] and now < due:
            return
        self._validated[meta["uid"]] = (meta["generation"], now + _STORE_REFRESH)
        try:
            if at(one, ("spec", "provider", "vault")) is not None:
                provider.ask(served, one, meta.get("namespace", "default"), "auth/token/lookup-self")
            state, reason, message, kind = "True", "Valid", "store validated", "Normal"
        except Trouble as trouble:
            events.note(store, served, one, "Warning", "ValidationFailed", str(trouble), "secret-store")
            state, reason, message, kind = "False", "ValidationFailed", "unable to validate store", "Warning"
        except Hanging:
            return
        conditions = [_condition(store, one, state, reason, message)]
        owners.set_status(store, served, one, {"capabilities": "ReadWrite", "conditions": conditions})
        if kind == "Normal":
            events.note(store, served, one, kind, reason, message, "secret-store")

    # ExternalSecrets

    def _reconcile(self, store: Store, provider: Provider, secret: Obj) -> None:
        secret = _registered(store, secret)
        meta, version = secret["metadata"], _version(secret)
        namespace, target = meta["namespace"], at(secret, ("spec", "target", "name")) or meta["name"]
        existing = store.get(SECRETS, namespace, target)
        if not _due(store, secret, version) and _intact(secret, existing):
            _wait(store, secret)
            return
        now, tried = store.now().timestamp(), self._tried.get(meta["uid"])
        if tried is not None and tried.version == version and now < tried.again:
            store.wake(datetime.fromtimestamp(tried.again, UTC))
            return
        try:
            values = provider.values(secret)
            done = self._write(store, secret, target, existing, values)
        except Hanging:
            store.wake(store.now() + timedelta(seconds=1))
        except _Owned as owned:
            self._failed(store, secret, version, "target is owned by another ExternalSecret", str(owned), target)
        except Trouble as trouble:
            self._failed(
                store, secret, version, "could not get secret data from provider", str(trouble), at(secret, ("status", "binding", "name"), "")
            )
        else:
            self._tried.pop(meta["uid"], None)
            reason, message = done
            status = {"binding": {"name": target if reason == "SecretSynced" else ""}, "refreshTime": stamp(store.now()),
                      "syncedResourceVersion": version, "conditions": [_condition(store, secret, "True", reason, message)]}  # fmt: skip
            owners.set_status(store, EXTERNAL_SECRETS, secret, status)

    def _failed(self, store: Store, secret: Obj, version: str, message: str, detail: str, binding: str) -> None:
        meta = secret["metadata"]
        tried = self._tried.get(meta["uid"])
        wait = min(_BACKOFF_LIMIT, tried.wait * 2) if tried is not None and tried.version == version else _BACKOFF
        self._tried[meta["uid"]] = _Tried(version, store.now().timestamp() + wait, wait)
        store.wake(store.now() + timedelta(seconds=wait))
        events.note(store, EXTERNAL_SECRETS, secret, "Warning", "UpdateFailed", detail, _MANAGER)
        status = {"refreshTime": None, **(secret.get("status") or {}), "binding": {"name": binding},
                  "conditions": [_condition(store, secret, "False", "SecretSyncedError", message)]}  # fmt: skip
        owners.set_status(store, EXTERNAL_SECRETS, secret, status)

    def _write(self, store: Store, secret: Obj, target: str, existing: Obj | None, values: dict[str, bytes]) -> tuple[str, str]:
        """Make the target so. Returns reason and message of the condition. Raises _Owned."""
        spec, meta = secret["spec"], secret["metadata"]
        policy = at(spec, ("target", "creationPolicy"), "Owner")
        if policy == "None":
            return "SecretSynced", "secret synced"
        data = {key: base64.b64encode(value).decode() for key, value in values.items()}
        if existing is None:
            if policy == "Merge":
                return "SecretMissing", "secret will not be created due to CreationPolicy=Merge"
            store.insert(SECRETS, _fresh(secret, target, policy, data), manager=_MANAGER)
            events.note(store, EXTERNAL_SECRETS, secret, "Normal", "Created", "secret created", _MANAGER)
            return "SecretSynced", "secret synced"
        owner = controller_of(existing)
        if policy == "Owner" and owner is not None and owner["kind"] == "ExternalSecret" and owner["uid"] != meta["uid"]:
            raise _Owned(f"unable to mutate secret {target}: secret is owned by another ExternalSecret: {owner['name']}")
        if at(spec, ("target", "immutable"), False) or existing.get("immutable"):
            return "SecretSynced", "secret synced"
        wanted = _updated(secret, existing, policy, data)
        if store.replace(SECRETS, wanted, manager=_MANAGER)["metadata"]["resourceVersion"] != existing["metadata"]["resourceVersion"]:
            events.note(store, EXTERNAL_SECRETS, secret, "Normal", "Updated", "secret updated", _MANAGER)
        return "SecretSynced", "secret synced"


class _Owned(Exception):
    """The target belongs to another ExternalSecret."""


def _registered(store: Store, secret: Obj) -> Obj:
    """With the operator's finalizer; on the way it writes the interval as Go prints it, which is a new generation."""
    if _FINALIZER in (secret["metadata"].get("finalizers") or ()):
        return secret
    finalizers = [*(secret["metadata"].get("finalizers") or ()), _FINALIZER]
    interval = at(secret, ("spec", "refreshInterval"), "1h")
    patch = {
        "metadata": {"finalizers": finalizers},
        "spec": {"refreshInterval": _spelled(seconds(interval)) if seconds(interval) >= 0 else interval},
    }
    return store.mutate(EXTERNAL_SECRETS, secret, patch, manager=_MANAGER)


def _let_go(store: Store, secret: Obj) -> None:
    left = [f for f in secret["metadata"].get("finalizers") or () if f != _FINALIZER]
    if len(left) < len(secret["metadata"].get("finalizers") or ()):
        store.mutate(EXTERNAL_SECRETS, secret, {"metadata": {"finalizers": left or None}}, manager=_MANAGER)


def _version(secret: Obj) -> str:
    """``status.syncedResourceVersion``: generation, and a hash of labels and annotations."""
    described = [sorted(labels_of(secret).items()), sorted(annotations_of(secret).items())]
    return f"{secret['metadata']['generation']}-{_hash(described)}"


def _hash(value: object) -> str:
    return hashlib.sha3_224(msgspec.json.encode(value)).hexdigest()


def _due(store: Store, secret: Obj, version: str) -> bool:
    """shouldRefresh of externalsecret_controller.go."""
    status = secret.get("status") or {}
    synced, refreshed = status.get("syncedResourceVersion", ""), status.get("refreshTime")
    policy, interval = secret["spec"].get("refreshPolicy", "Periodic"), seconds(at(secret, ("spec", "refreshInterval"), "1h"))
    if not synced or not refreshed:
        return True
    if policy == "CreatedOnce" or (policy == "Periodic" and interval <= 0):
        return False
    if policy == "OnChange" or synced != version:
        return bool(synced != version)
    return store.now() >= parse(refreshed) + timedelta(seconds=interval)


def _wait(store: Store, secret: Obj) -> None:
    """Look again when the interval is over."""
    interval = seconds(at(secret, ("spec", "refreshInterval"), "1h"))
    if interval > 0 and secret["spec"].get("refreshPolicy", "Periodic") == "Periodic":
        store.wake(parse(secret["status"]["refreshTime"]) + timedelta(seconds=interval))


def _intact(secret: Obj, existing: Obj | None) -> bool:
    """isSecretValid: whether the target is as the operator left it."""
    if at(secret, ("spec", "target", "creationPolicy")) in ("None", "Merge"):
        return True
    if existing is None or labels_of(existing).get(_MANAGED) != "true":
        return False
    return annotations_of(existing).get(_HASH) == _hash(existing.get("data") or {})


def _fresh(secret: Obj, target: str, policy: str, data: dict[str, str]) -> Obj:
    made: Obj = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": target, "namespace": secret["metadata"]["namespace"]},
                 "type": at(secret, ("spec", "target", "template", "type"), "Opaque")}  # fmt: skip
    if at(secret, ("spec", "target", "immutable"), False):
        made["immutable"] = True
    return _updated(secret, made, policy, data)


def _updated(secret: Obj, existing: Obj, policy: str, data: dict[str, str]) -> Obj:
    """``existing`` with the data, and with the ExternalSecret's labels and annotations, as it copies them all."""
    meta = existing["metadata"]
    whole = {**(existing.get("data") or {}), **data} if policy == "Merge" else data
    copied = {key: value for key, value in annotations_of(secret).items() if key != "kubectl.kubernetes.io/last-applied-configuration"}
    labels = {**(meta.get("labels") or {}), **labels_of(secret), _MANAGED: "true"}
    annotations = {**(meta.get("annotations") or {}), **copied, _HASH: _hash(whole)}
    changed: Obj = {**meta, "labels": labels, "annotations": annotations}
    if policy == "Owner":
        changed["labels"][_MAKER] = _hash(f"{secret['metadata']['namespace']}/{secret['metadata']['name']}")
        others = [o for o in meta.get("ownerReferences") or () if o["uid"] != secret["metadata"]["uid"]]
        changed["ownerReferences"] = [*others, owners.owner_reference(EXTERNAL_SECRETS, secret)]
    return {**existing, "metadata": changed, "data": whole}


def _condition(store: Store, obj: Obj, state: str, reason: str, message: str) -> Obj:
    """Ready; its time moves when its status does (seen)."""
    known = next((c for c in at(obj, ("status", "conditions"), []) if c["type"] == "Ready"), None)
    moved = known["lastTransitionTime"] if known is not None and known["status"] == state else stamp(store.now())
    return {"type": "Ready", "status": state, "reason": reason, "message": message, "lastTransitionTime": moved}


def _spelled(length: float) -> str:
    """As time.Duration prints: 1h0m0s."""
    whole = int(length)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}h{minutes}m{rest}s" if hours else f"{minutes}m{rest}s" if minutes else f"{rest}s"
