"""What a pod refers to: the Secrets, ConfigMaps and claims that its spec names. Pure functions over the object."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

from irkit.model.kube import Obj, at

_CONTAINERS = (("container", "containers"), ("init", "initContainers"), ("ephemeral", "ephemeralContainers"))


class Reference(NamedTuple):
    """``optional``: the pod starts without it, so that its absence means nothing."""

    kind: Literal["Secret", "ConfigMap", "PersistentVolumeClaim"]
    name: str
    optional: bool = False


def containers_of(pod: Obj) -> Iterator[tuple[str, Obj]]:
    """Kind (container, init, ephemeral) and spec of every container."""
    for kind, field in _CONTAINERS:
        for container in at(pod, ("spec", field), ()):
            yield kind, container


def references_of(pod: Obj) -> tuple[Reference, ...]:
    """Every reference once, in the order of the spec; required where any place requires it."""
    found: dict[tuple[str, str], Reference] = {}
    for reference in (*_from_containers(pod), *_from_volumes(pod)):
        if reference.name:
            key = (reference.kind, reference.name)
            earlier = found.get(key)
            found[key] = reference if earlier is None or earlier.optional else earlier
    return tuple(found.values())


def _from_containers(pod: Obj) -> Iterator[Reference]:
    for _, container in containers_of(pod):
        for variable in container.get("env") or ():
            yield from _named("Secret", at(variable, ("valueFrom", "secretKeyRef")))
            yield from _named("ConfigMap", at(variable, ("valueFrom", "configMapKeyRef")))
        for source in container.get("envFrom") or ():
            yield from _named("Secret", source.get("secretRef"))
            yield from _named("ConfigMap", source.get("configMapRef"))
    for secret in at(pod, ("spec", "imagePullSecrets"), ()):
        yield from _named("Secret", secret, optional=True)


def _from_volumes(pod: Obj) -> Iterator[Reference]:
    for volume in at(pod, ("spec", "volumes"), ()):
        yield from _named("Secret", volume.get("secret"), "secretName")
        yield from _named("ConfigMap", volume.get("configMap"))
        yield from _named("PersistentVolumeClaim", volume.get("persistentVolumeClaim"), "claimName")
        for source in at(volume, ("projected", "sources"), ()):
            yield from _named("Secret", source.get("secret"))
            yield from _named("ConfigMap", source.get("configMap"))
        if volume.get("ephemeral"):  # its claim is named after pod and volume (Kubernetes docs, ephemeral volumes)
            yield Reference("PersistentVolumeClaim", f"{at(pod, ('metadata', 'name'), '')}-{volume.get('name', '')}")
        yield from _named("Secret", volume.get("azureFile"), "secretName")
        for driver in ("csi", "cephfs", "rbd", "iscsi", "flexVolume", "scaleIO", "storageos"):
            yield from _named("Secret", at(volume, (driver, "nodePublishSecretRef" if driver == "csi" else "secretRef")))


def _named(
    kind: Literal["Secret", "ConfigMap", "PersistentVolumeClaim"], source: Any, field: str = "name", *, optional: bool = False
) -> Iterator[Reference]:
    if isinstance(source, dict):
        yield Reference(kind, str(source.get(field) or ""), optional or source.get("optional") is True)
