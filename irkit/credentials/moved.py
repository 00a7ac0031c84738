"""An immutable Secret can't get a new value, so its consumers are moved to another Secret: its name, and the change that moves them.

A workload is moved by the same patch that restarts it; one without pods by the same patch, too: else it would start with
the old value, or not at all.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from irkit.model.credential import Credential
from irkit.model.incident import Incident
from irkit.model.kube import ObjectRef

_NAMES = frozenset({"secretRef", "secretKeyRef", "secret", "nodePublishSecretRef", "imagePullSecrets"})  # fields whose `name` is that of a Secret
_LONGEST = 253  # characters of an object's name
_OURS = re.compile(r"irkit-[0-9a-f]{8}-(?=.)")


def successor(ref: ObjectRef, incident: Incident) -> ObjectRef:
    """The Secret that takes the place of an immutable one in this incident; of one that did so before, by the first one's name."""
    mark = hashlib.sha256(f"{incident.id} {ref.name}".encode()).hexdigest()[:8]
    return msgspec.structs.replace(ref, name=f"irkit-{mark}-{_OURS.sub('', ref.name, count=1)}"[:_LONGEST].rstrip("-."), uid="")


def pending(credential: Credential, incident: Incident) -> ObjectRef:
    """The Secret that keeps the values which are not in force yet."""
    mark = hashlib.sha256(f"{credential.id} {incident.id}".encode()).hexdigest()[:16]
    return msgspec.structs.replace(credential.ref, name=f"irkit-pending-{mark}", uid="")


def moves(credentials: Iterable[Credential], incident: Incident) -> dict[str, dict[str, str]]:
    """By namespace, which Secret's consumers belong to which other one, once these credentials are rotated."""
    found: dict[str, dict[str, str]] = {}
    for credential in credentials:
        if credential.immutable and credential.source.kind == "kubernetes":
            found.setdefault(credential.ref.namespace, {})[credential.ref.name] = successor(credential.ref, incident).name
    return found


def own(credentials: Iterable[Credential], incident: Incident) -> set[tuple[str, str]]:
    """Namespace and name of what irkit made for these: no credentials of anybody else's."""
    return {(ref.namespace, ref.name) for c in credentials for ref in (successor(c.ref, incident), pending(c, incident))}


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
