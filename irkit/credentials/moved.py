"""An immutable Secret can't get a new value, so its consumers are moved to another Secret: its name, and the change that moves them.

A workload is moved by the same patch that restarts it; one without pods by the same patch, too: else it would start with
the old value, or not at all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from irkit.model.incident import Incident
from irkit.model.kube import ObjectRef

_NAMES = frozenset({"secretRef", "secretKeyRef", "secret", "nodePublishSecretRef", "imagePullSecrets"})  # fields whose `name` is that of a Secret
_LONGEST = 253  # characters of an object's name


def successor(ref: ObjectRef, incident: Incident) -> ObjectRef:
    """The Secret that takes the place of an immutable one in this incident."""
    mark = hashlib.sha256(f"{incident.id} {ref.name}".encode()).hexdigest()[:8]
    return msgspec.structs.replace(ref, name=f"irkit-{mark}-{ref.name}"[:_LONGEST].rstrip("-."), uid="")


def repointed(spec: Any, names: Mapping[str, str], under: str = "") -> Any:
    """A part of a pod's spec with every reference to one of these Secrets by the new name; what is not concerned as it was."""
    if isinstance(spec, list):
        return [repointed(item, names, under) for item in spec]
    if not isinstance(spec, dict):
        return spec
    moved = {key: repointed(value, names, key) for key, value in spec.items()}
    if under in _NAMES and spec.get("name") in names:
        moved["name"] = names[spec["name"]]
    if under in ("secret", "azureFile") and spec.get("secretName") in names:
        moved["secretName"] = names[spec["secretName"]]
    return moved
