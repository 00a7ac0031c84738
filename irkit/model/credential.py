"""Credentials: what a pod could reach, of which class each is, and where its value is made and kept. Never a value."""

from __future__ import annotations

import hmac
from typing import Literal, TypeAlias, get_args

import msgspec

from irkit.model.kube import ObjectRef, Value

CLASS_ANNOTATION = "irkit.dev/rotation"
"""On a Secret or ExternalSecret: one class for all keys, or a JSON map from key to class."""

DATABASE_ANNOTATION = "irkit.dev/database"
"""On a Secret or ExternalSecret: the name, in the settings' ``databases``, of the database whose login a key of class database holds."""

RESTART_ANNOTATION = "irkit.dev/restarted"
"""On a pod template, and so on each pod that started after its credentials were changed."""

Class: TypeAlias = Literal["generated", "issuer-made", "database", "certificate", "token", "manual"]
"""Who makes the new value: irkit, the issuer's console, the database, a certificate authority, the cluster; manual: not known."""

CLASSES: tuple[str, ...] = get_args(Class)
OldValue: TypeAlias = Literal["dead", "alive", "untested"]


class Source(Value, frozen=True):
    """Where the value comes from. ``kind`` decides which rotator can store a new one."""

    kind: Literal["kubernetes", "external-secret", "vault", "certificate", "service-account", "csi", "other"] = "kubernetes"
    external_secret: ObjectRef | None = None  # what writes the Secret, for `external-secret`
    store: ObjectRef | None = None  # its SecretStore or ClusterSecretStore
    provider: str = ""  # of the store: vault, aws, azurekv, …
    server: str = ""  # of a Vault, as the store names it
    namespace: str = ""  # of a Vault (X-Vault-Namespace), as the store names it
    mount: str = ""  # of a KV engine, without slashes at its ends
    path: str = ""  # of the entry below the mount; for a CSI driver or Vault agent: as written there
    version: str = ""  # v1 | v2, as the store says
    properties: dict[str, str] = {}  # key of the Secret → property of the entry; empty: the whole entry, key by key
    whole: bool = False  # the entry is taken whole (`dataFrom.extract`): every property is a key
    certificate: ObjectRef | None = None  # cert-manager's Certificate
    issuer: str = ""  # of a certificate or an API key, as far as it is written down
    database: str = ""  # name in the settings' databases
    command: str = ""  # name in the settings' commands: that one rotates it, whatever its class
    owner: str = ""  # who else writes this Secret, and would undo a change: "Helm release shop", "Argo CD", "Flux"
    readers: tuple[str, ...] = ()  # ExternalSecrets of other namespaces that read the same: "ExternalSecret shop/web"
    notes: tuple[str, ...] = ()  # what will stand in the way: CreatedOnce, refreshInterval 0, immutable target


class Credential(Value, frozen=True):
    """What is rotated as one: the keys of one Secret that have one class and one source; or a ServiceAccount's tokens."""

    ref: ObjectRef  # Secret or ServiceAccount
    keys: tuple[str, ...] = ()
    cls: Class = msgspec.field(default="manual", name="class")
    source: Source = Source()
    why: str = ""  # where the class was read: annotation, settings, owner, or why it is not known
    type: str = ""  # of the Secret: kubernetes.io/dockerconfigjson
    immutable: bool = False

    @property
    def id(self) -> str:
        """Names it within an incident. Not its uid: an immutable Secret's consumers may be moved to another one."""
        source = self.source
        store = f"{source.store.kind}/{source.store.name}" if source.store else f"{source.server}{source.namespace}"
        place = f"{store}/{source.mount}/{source.path}" if source.path else ""
        by = f":{source.database}:{source.command}" if source.database or source.command else ""
        return f"{self.ref.kind}:{self.ref.namespace}/{self.ref.name}:{self.cls}:{source.kind}:{place}{by}"

    @property
    def name(self) -> str:
        """For people and for `-o json`: ``todo-app/backend-secret/SECRET_KEY,…``."""
        keys = "/" + ",".join(self.keys) if self.keys else ""
        return f"{self.ref.namespace}/{self.ref.name}{keys}"


class Reason(Value, frozen=True):
    """Why it must be considered stolen. ``how``: env, envFrom, volume, pullSecret, token, agent, rbac, …; ``path``: which field, or which binding."""

    how: str
    path: str


class Finding(Value, frozen=True):
    """One line of a blast radius."""

    credential: Credential
    age: float | None = None  # days since the value last changed; None: not known
    age_from: str = ""  # where the age was read
    changed: str = ""  # RFC 3339: when, by the same source
    expires: float | None = None  # days until a certificate ends
    shared_with: tuple[str, ...] = ()  # who else uses it: "Deployment todo-app/frontend"
    reasons: tuple[Reason, ...] = ()


def fingerprint(value: bytes | str, key: bytes) -> str:
    """HMAC-SHA-256 of a value under the incident's key, in hex: tells whether two values are the same, and nothing else."""
    return hmac.digest(key, value.encode() if isinstance(value, str) else value, "sha256").hex()
