"""Which lists of an object are maps or sets in disguise.

The real server has this in its OpenAPI schema (`x-kubernetes-list-type`, `x-kubernetes-patch-merge-key`). Here it is
one table for the kinds that people patch; a list that is not in it is atomic, as CRD lists are by default.
"""

from __future__ import annotations

Path = tuple[str, ...]

_ANYWHERE: dict[str, tuple[str, ...]] = {
    "containers": ("name",), "initContainers": ("name",), "ephemeralContainers": ("name",), "env": ("name",),
    "volumes": ("name",), "volumeMounts": ("mountPath",), "volumeDevices": ("devicePath",), "imagePullSecrets": ("name",),
    "hostAliases": ("ip",), "ownerReferences": ("uid",), "conditions": ("type",), "podIPs": ("ip",), "hostIPs": ("ip",),
    "resourceClaims": ("name",), "addresses": ("type",),
}  # fmt: skip
_UNDER: dict[tuple[str, str], tuple[str, ...]] = {
    ("containers", "ports"): ("containerPort", "protocol"),
    ("initContainers", "ports"): ("containerPort", "protocol"),
    ("ephemeralContainers", "ports"): ("containerPort", "protocol"),
    ("spec", "ports"): ("port", "protocol"),
    ("spec", "topologySpreadConstraints"): ("topologyKey", "whenUnsatisfiable"),
    ("", "secrets"): ("name",),
}
_ATOMIC_MAPS = {"selector", "nodeSelector", "podSelector", "namespaceSelector", "labelSelector", "involvedObject", "roleRef", "secretKeyRef",
                "configMapKeyRef", "fieldRef", "resourceFieldRef"}  # fmt: skip
_SETS = {("metadata", "finalizers")}
_ATOMIC = {("status", "addresses")}


def keys_of(path: Path) -> tuple[str, ...]:
    """The keys of the list at ``path`` (field names only) when its items are told apart by keys; empty: atomic."""
    field, parent = path[-1], path[-2] if len(path) > 1 else ""
    if (parent, field) in _ATOMIC:
        return ()
    return _UNDER.get((parent, field)) or _ANYWHERE.get(field, ())


def is_atomic_map(path: Path) -> bool:
    """Whether the mapping at ``path`` is owned as a whole (`x-kubernetes-map-type: atomic`)."""
    return bool(path) and path[-1] in _ATOMIC_MAPS


def is_set(path: Path) -> bool:
    return path[-2:] in _SETS
