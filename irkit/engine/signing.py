"""Who may vouch for what lies in namespace ``irkit-system``: an HMAC-SHA-256 with a key of Secret ``irkit-signing``.

Actors and responders may read that Secret, listeners may not. Two keys are accepted, ``current`` and ``previous``, so that the
key can be changed while incidents are open. A key is in no message, no log and no ``repr``.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os

from irkit.errors import NotFoundError, RefusedError
from irkit.model.kube import SECRETS, Obj, ObjectRef, at
from irkit.model.order import SYSTEM_NAMESPACE
from irkit.ports import Cluster, ClusterReader

SECRET = ObjectRef(resource=SECRETS, name="irkit-signing", namespace=SYSTEM_NAMESPACE)
CURRENT, PREVIOUS = "current", "previous"
_LEAST = 32  # octets of a key


class Keys:
    """The keys that sign and check."""

    __slots__ = ("_accepted",)

    def __init__(self, current: bytes, previous: bytes = b"") -> None:
        self._accepted = tuple(key for key in (current, previous) if key)

    def sign(self, purpose: str, content: bytes) -> str:
        """In hex. What was signed for one ``purpose`` is worth nothing for another."""
        return _mac(self._accepted[0], purpose, content)

    def genuine(self, purpose: str, content: bytes, signature: str) -> bool:
        """Whether one of the keys signed it."""
        given = signature.encode("utf-8", "replace")
        fitting = [hmac.compare_digest(_mac(key, purpose, content).encode(), given) for key in self._accepted]  # each, whichever fits
        return any(fitting)


def _mac(key: bytes, purpose: str, content: bytes) -> str:
    return hmac.digest(key, purpose.encode() + b"\0" + content, hashlib.sha256).hex()


def keys(cluster: ClusterReader) -> Keys | None:
    """The keys; None where the cluster has no such Secret.

    Raises ForbiddenError, UnreachableError; RefusedError where the Secret has no usable key.
    """
    try:
        found = cluster.get(SECRET)
    except NotFoundError:
        return None
    current, previous = _key(found, CURRENT), _key(found, PREVIOUS)
    if not current:
        raise RefusedError(f"Secret {SYSTEM_NAMESPACE}/{SECRET.name} has no key {CURRENT!r} of {_LEAST} octets or more",
                           next="irkit doctor --rotate-signing-key")  # fmt: skip
    return Keys(current, previous)


def _key(secret: Obj, field: str) -> bytes:
    """Empty where it is none."""
    try:
        key = base64.b64decode(str(at(secret, ("data", field), "")), validate=True)
    except (binascii.Error, ValueError):
        return b""
    return key if len(key) >= _LEAST else b""


def create(cluster: Cluster) -> None:
    """Make the Secret with a random key. Raises ConflictError where there is one, NotFoundError where the namespace is missing."""
    meta = {"name": SECRET.name, "namespace": SYSTEM_NAMESPACE, "labels": {"app.kubernetes.io/managed-by": "irkit"}}
    cluster.create(SECRETS, {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "type": "Opaque", "data": {CURRENT: _random()}})


def rotate(cluster: Cluster) -> None:
    """Sign with a new key from now on; what the last one signed stays good until the next time. Raises NotFoundError, ConflictError."""
    found = cluster.get(SECRET)
    data = {CURRENT: _random(), PREVIOUS: base64.b64encode(kept).decode() if (kept := _key(found, CURRENT)) else None}
    cluster.patch(SECRET, {"metadata": {"resourceVersion": found["metadata"]["resourceVersion"]}, "data": data})


def _random() -> str:
    return base64.b64encode(os.urandom(_LEAST)).decode()
