"""What a pod holds by its own spec: every place from which the kubelet, or an agent in the pod, hands it a credential."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from irkit.model.kube import Obj, annotations_of, at, dicts
from irkit.model.references import containers_of

CSI_DRIVER = "secrets-store.csi.k8s.io"
AGENT = "vault.hashicorp.com/agent-inject-secret-"
AGENT_ROLE, AGENT_NAMESPACE, AGENT_SERVICE = (f"vault.hashicorp.com/{n}" for n in ("role", "namespace", "service"))
ACCOUNT_NAME = "kubernetes.io/service-account.name"
TOKEN_TYPE = "kubernetes.io/service-account-token"  # noqa: S105 -- the type's name
_FIELDS = {"container": "containers", "init": "initContainers", "ephemeral": "ephemeralContainers"}
# Volumes of the API that name a Secret by ``secretRef`` (core/v1 VolumeSource).
_DRIVERS = ("cephfs", "rbd", "iscsi", "flexVolume", "scaleIO", "storageos")


class Use(NamedTuple):
    """One place where a credential reaches a pod. ``kind``: Secret, ServiceAccount, SecretProviderClass or VaultEntry."""

    kind: str
    name: str
    keys: tuple[str, ...] | None  # None: all
    how: str
    path: str
    optional: bool = False  # the pod starts without it: its absence means nothing


def uses(pod: Obj, accounts: Mapping[str, Obj]) -> Iterator[Use]:
    """Everything that a pod or a pod template is given. ``accounts``: the ServiceAccounts of its namespace, by name."""
    yield from _of_containers(pod)
    for volume in dicts(at(pod, ("spec", "volumes"))):
        yield from _of_volume(volume)
    yield from _pulls(pod, accounts)
    yield from _token(pod, accounts)
    for name, path in annotations_of(pod).items():
        if name.startswith(AGENT):
            yield Use("VaultEntry", word(path), (), "agent", f"metadata.annotations[{name}]")


def account_of(pod: Obj) -> str:
    return word(at(pod, ("spec", "serviceAccountName"))) or word(at(pod, ("spec", "serviceAccount"))) or "default"


def _of_containers(pod: Obj) -> Iterator[Use]:
    for kind, container in containers_of(pod):
        place = f"spec.{_FIELDS[kind]}[{container.get('name')}]"
        for variable in dicts(container.get("env")):
            source = at(variable, ("valueFrom", "secretKeyRef"))
            path = f"{place}.env[{variable.get('name')}].valueFrom.secretKeyRef"
            yield from _secret(source, "env", path, keys=(word(at(source, ("key",))),))
        for number, source in enumerate(dicts(container.get("envFrom"))):
            yield from _secret(source.get("secretRef"), "envFrom", f"{place}.envFrom[{number}].secretRef")


def _of_volume(volume: Obj) -> Iterator[Use]:
    place = f"spec.volumes[{volume.get('name')}]"
    yield from _secret(volume.get("secret"), "volume", f"{place}.secret", "secretName", keys=_items(volume.get("secret")))
    for number, source in enumerate(dicts(at(volume, ("projected", "sources")))):
        path = f"{place}.projected.sources[{number}]"
        yield from _secret(source.get("secret"), "volume", f"{path}.secret", keys=_items(source.get("secret")))
    yield from _secret(volume.get("azureFile"), "volume", f"{place}.azureFile", "secretName")
    for driver in _DRIVERS:
        yield from _secret(at(volume, (driver, "secretRef")), "volume", f"{place}.{driver}.secretRef")
    csi = at(volume, ("csi",))
    if isinstance(csi, dict):
        yield from _secret(csi.get("nodePublishSecretRef"), "csi", f"{place}.csi.nodePublishSecretRef")
        name = word(at(csi, ("volumeAttributes", "secretProviderClass")))
        if csi.get("driver") == CSI_DRIVER and name:
            yield Use("SecretProviderClass", name, (), "csi", f"{place}.csi.volumeAttributes.secretProviderClass")


def _pulls(pod: Obj, accounts: Mapping[str, Obj]) -> Iterator[Use]:
    """Pull secrets; the account's only where the pod names none (admission plugin ServiceAccount)."""
    own = dicts(at(pod, ("spec", "imagePullSecrets")))
    place = "spec.imagePullSecrets" if own else f"ServiceAccount {account_of(pod)}: imagePullSecrets"
    for pull in own or dicts(at(accounts.get(account_of(pod)), ("imagePullSecrets",))):
        yield from _secret(pull, "pullSecret", place, optional=True)


def _token(pod: Obj, accounts: Mapping[str, Obj]) -> Iterator[Use]:
    """The account's token: projected into the pod, or mounted by rule (the pod's ``automountServiceAccountToken`` over the account's)."""
    name, found = account_of(pod), False
    for volume in dicts(at(pod, ("spec", "volumes"))):
        for number, source in enumerate(dicts(at(volume, ("projected", "sources")))):
            if isinstance(token := source.get("serviceAccountToken"), dict):
                found = True
                audience = f" for audience {token['audience']}" if token.get("audience") else ""
                yield Use("ServiceAccount", name, (), "token",
                          f"spec.volumes[{volume.get('name')}].projected.sources[{number}].serviceAccountToken{audience}")  # fmt: skip
    own, theirs = at(pod, ("spec", "automountServiceAccountToken")), at(accounts.get(name), ("automountServiceAccountToken",))
    if not found and (own if own is not None else theirs) is not False:
        yield Use("ServiceAccount", name, (), "token", f"ServiceAccount {name}: mounted, as nothing says automountServiceAccountToken: false")


def _secret(source: Any, how: str, path: str, field: str = "name", *, keys: tuple[str, ...] | None = None, optional: bool = False) -> Iterator[Use]:
    if isinstance(source, dict) and (name := word(source.get(field))):
        yield Use("Secret", name, keys, how, path, optional or source.get("optional") is True)


def _items(source: Any) -> tuple[str, ...] | None:
    """The keys that a volume takes; None: all."""
    items = dicts(at(source, ("items",)))
    return tuple(word(i.get("key")) for i in items) if items else None


def word(value: Any) -> str:
    """A string; empty where it is none."""
    return value if isinstance(value, str) else ""
