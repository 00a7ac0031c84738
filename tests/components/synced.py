"""Manifests of External Secrets Operator and cert-manager, and waiting for what they do."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from typing import Any, TypeVar

from tests.components.openbao import OpenBao
from tests.controlplane.running import Obj, Running

T = TypeVar("T")


def store(openbao: OpenBao, mount: str, *, name: str = "openbao", version: int = 2, token: str = "") -> list[Obj]:
    """A SecretStore for a KV engine, and the Secret with its token (root's by default)."""
    provider: Obj = {"server": openbao.address, "path": mount, "version": f"v{version}"}
    provider["auth"] = {"tokenSecretRef": {"name": f"{name}-token", "key": "token"}}
    if openbao.ca:
        provider["caBundle"] = base64.b64encode(openbao.ca.read_bytes()).decode()
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": f"{name}-token"}, "stringData": {"token": token or openbao.token}}
    kind = {"apiVersion": "external-secrets.io/v1", "kind": "SecretStore", "metadata": {"name": name}}
    return [secret, {**kind, "spec": {"provider": {"vault": provider}}}]


def external_secret(name: str, keys: dict[str, tuple[str, str]], *, store: str = "openbao", target: str = "", **spec: Any) -> Obj:
    """An ExternalSecret. ``keys``: the Secret's key → (entry, property). ``spec``: more fields, such as ``refreshPolicy``."""
    data = [{"secretKey": key, "remoteRef": {"key": entry, "property": prop}} for key, (entry, prop) in keys.items()]
    where = {"secretStoreRef": {"kind": "SecretStore", "name": store}, "target": {"name": target or name}}
    kind = {"apiVersion": "external-secrets.io/v1", "kind": "ExternalSecret", "metadata": {"name": name}}
    return {**kind, "spec": {"refreshInterval": "1h", **where, "data": data, **spec}}


def self_signed_ca(name: str = "ca") -> list[Obj]:
    """A SelfSigned issuer, a CA certificate made by it, and the CA issuer ``name`` of that."""
    kind = {"apiVersion": "cert-manager.io/v1", "kind": "Issuer"}
    root = {"metadata": {"name": f"{name}-root"}, "spec": {"selfSigned": {}}}
    issuer = {"metadata": {"name": name}, "spec": {"ca": {"secretName": f"{name}-tls"}}}
    made = certificate(f"{name}-tls", f"{name}-root", commonName="irkit tests", isCA=True)
    return [{**kind, **root}, made, {**kind, **issuer}]


def certificate(name: str, issuer: str = "ca", *, rotation: str = "Always", **spec: Any) -> Obj:
    """A Certificate whose Secret has its name."""
    key = {"algorithm": "ECDSA", "size": 256, "rotationPolicy": rotation}
    wish = {"secretName": name, "issuerRef": {"name": issuer}, "privateKey": key, "dnsNames": [f"{name}.test"], **spec}
    return {"apiVersion": "cert-manager.io/v1", "kind": "Certificate", "metadata": {"name": name}, "spec": wish}


def secret(plane: Running, namespace: str, name: str) -> dict[str, str] | None:
    """A Secret's values as text; None while there is none."""
    found = plane.kubectl("get", "secret", name, "-n", namespace, "-o", "json", "--ignore-not-found").stdout
    return {k: base64.b64decode(v).decode() for k, v in json.loads(found).get("data", {}).items()} if found else None


def eventually(look: Callable[[], T | None], seconds: float = 20) -> T:
    """What ``look`` gives as soon as that is something true."""
    until = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < until, f"not so after {seconds} s"
        time.sleep(0.05)
    return found
