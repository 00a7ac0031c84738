"""A namespace of dicts with everything that hands a credential to a pod."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from irkit.credentials.look import CERTIFICATES, CLUSTERSECRETSTORES, EXTERNALSECRETS, PROVIDERCLASSES, SECRETSTORES
from irkit.credentials.radius import Radius, reached
from irkit.model.credential import Finding
from irkit.model.kube import (
    CLUSTERROLEBINDINGS,
    CLUSTERROLES,
    PODS,
    ROLEBINDINGS,
    ROLES,
    SECRETS,
    SERVICEACCOUNTS,
    Obj,
    Resource,
)
from irkit.settings import Settings
from tests.collectors.world import World, meta

NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
CANARY = "Y2FuYXJ5LXZhbHVl"
Objects = list[tuple[Resource, Obj]]


def secret(name: str, *keys: str, namespace: str = "shop", type_: str = "Opaque", **more: Any) -> tuple[Resource, Obj]:
    kind = {"apiVersion": "v1", "kind": "Secret", "type": type_}
    return SECRETS, {**kind, "metadata": meta(name, namespace, **more), "data": dict.fromkeys(keys or ("key",), CANARY)}


def account(name: str, namespace: str = "shop", **more: Any) -> tuple[Resource, Obj]:
    return SERVICEACCOUNTS, {"metadata": meta(name, namespace, creationTimestamp="2026-11-12T03:00:00Z"), **more}


def pod(name: str = "web-1", namespace: str = "shop", annotations: Obj | None = None, **spec: Any) -> Obj:
    spec = {"automountServiceAccountToken": False, "containers": [{"name": "app"}], **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta(name, namespace, annotations=annotations or {}), "spec": spec}


def token_secret(name: str, of: str, namespace: str = "shop") -> tuple[Resource, Obj]:
    return secret(name, "token", namespace=namespace, type_="kubernetes.io/service-account-token",
                  annotations={"kubernetes.io/service-account.name": of})  # fmt: skip


def role(name: str, *rules: Obj, namespace: str = "shop") -> tuple[Resource, Obj]:
    return ROLES, {"metadata": meta(name, namespace), "rules": list(rules)}


def cluster_role(name: str, *rules: Obj, **more: Any) -> tuple[Resource, Obj]:
    return CLUSTERROLES, {"metadata": meta(name, "", labels=more.pop("labels", {})), "rules": list(rules), **more}


def bind(name: str, to: str, kind: str = "Role", namespace: str = "shop", subject: Obj | None = None) -> tuple[Resource, Obj]:
    who = subject or {"kind": "ServiceAccount", "name": "web-sa", "namespace": "shop"}
    body = {"roleRef": {"kind": kind, "name": to}, "subjects": [who]}
    return (ROLEBINDINGS if namespace else CLUSTERROLEBINDINGS), {"metadata": meta(name, namespace), **body}


def rule(verbs: str, resources: str, group: str = "", *names: str) -> Obj:
    return {"verbs": verbs.split(), "resources": resources.split(), "apiGroups": [group], **({"resourceNames": list(names)} if names else {})}


def external(name: str, namespace: str = "shop", **spec: Any) -> tuple[Resource, Obj]:
    base = {"secretStoreRef": {"kind": "SecretStore", "name": "vault"}, "refreshInterval": "1h"}
    return EXTERNALSECRETS[0], {"apiVersion": "external-secrets.io/v1", "kind": "ExternalSecret", "metadata": meta(name, namespace),
                                "spec": {**base, **spec}}  # fmt: skip


def remote(key: str, prop: str = "") -> Obj:
    return {"key": key, **({"property": prop} if prop else {})}


def store(name: str = "vault", *, shared: bool = False, **provider: Any) -> tuple[Resource, Obj]:
    resource = CLUSTERSECRETSTORES[0] if shared else SECRETSTORES[0]
    vault = {"vault": {"server": "https://vault:8200", "path": "secret", "version": "v2", "namespace": "team"}}
    return resource, {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": meta(name, "" if shared else "shop"),
                      "spec": {"provider": provider or vault}}  # fmt: skip


def certificate(name: str, secret_name: str, **status: str) -> tuple[Resource, Obj]:
    spec = {"secretName": secret_name, "issuerRef": {"name": "letsencrypt", "kind": "ClusterIssuer"}}
    return CERTIFICATES[0], {"metadata": meta(name), "spec": spec, "status": status}


def provider(name: str, **spec: Any) -> tuple[Resource, Obj]:
    return PROVIDERCLASSES[0], {"apiVersion": PROVIDERCLASSES[0].api_version, "metadata": meta(name), "spec": spec}


def radius(objects: Objects, *pods: Obj, settings: Settings | None = None, world: World | None = None) -> Radius:
    world = world or World()
    world.objects += [*objects, *((PODS, p) for p in pods)]
    return reached(pods, world, settings or Settings(), NOW)


def found(objects: Objects, *pods: Obj, settings: Settings | None = None) -> dict[str, Finding]:
    """Findings by ``Kind name/keys``."""
    findings = radius(objects, *pods, settings=settings).findings
    named = {f"{f.credential.ref.kind} {f.credential.name}": f for f in findings}
    assert len(named) == len(findings)
    assert len({f.credential.id for f in findings}) == len(findings)
    return named


def hows(finding: Finding) -> list[str]:
    return [r.how for r in finding.reasons]
