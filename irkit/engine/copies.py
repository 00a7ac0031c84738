"""How a copy of a journal lies in namespace ``irkit-system``: one ConfigMap, and up to seven more where it is long.

What is in these ConfigMaps was written by whoever may write there: nothing of it is believed here (engine/handover.py).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterator
from io import BytesIO
from typing import NamedTuple

import msgspec

from irkit.errors import EvidenceError, NotFoundError, RefusedError
from irkit.model.incident import INCIDENT_LABEL
from irkit.model.kube import CONFIGMAPS, Obj, ObjectRef, Value, at
from irkit.model.order import SYSTEM_NAMESPACE as NAMESPACE
from irkit.ports import Cluster, ClusterReader
from irkit.text import printable

_KEY, _SEAL, _REST = "journal.jsonl.gz", "seal.json", "parts"
LIMIT = 900_000  # octets; a ConfigMap holds 1 MiB
_MOST_PARTS = 8
_UNPACKED = 64 << 20
OVER_LABEL = "irkit.dev/over"
"""``true`` on copies of incidents that were lifted or closed: a hint for lists, not a fact."""


class Seal(Value, frozen=True):
    """What a signature says of a copy."""

    incident: str
    cluster: str  # uid of kube-system: a copy of another cluster is none of this one's
    lines: int
    sha256: str  # of the journal as it was, not compressed

    def signed(self) -> bytes:
        return msgspec.json.encode(self, order="deterministic")


class Copy(NamedTuple):
    identifier: str  # of the incident, as the name of the ConfigMap has it: in lower case
    journal: bytes
    seal: Seal | None
    signature: str


def ref_of(identifier: str) -> ObjectRef:
    return ObjectRef(resource=CONFIGMAPS, name=f"irkit-{identifier.lower()}"[:253], namespace=NAMESPACE)


def _part(identifier: str, slot: str, number: int) -> ObjectRef:
    return ObjectRef(resource=CONFIGMAPS, name=f"irkit-{identifier.lower()}"[:240] + f"-{slot}{number}", namespace=NAMESPACE)


def write(cluster: Cluster, identifier: str, journal: bytes, seal: Seal, signature: str, *, over: bool) -> None:
    """Put the copy there. A reader finds either the last one or this one. Raises RefusedError where it is too long, what a write raises."""
    import gzip

    packed = gzip.compress(journal, mtime=0)
    pieces = [packed[n : n + LIMIT] for n in range(0, len(packed), LIMIT)]
    if len(pieces) > _MOST_PARTS or len(journal) > _UNPACKED:
        raise RefusedError(f"the journal is too long for its copy in {NAMESPACE}")
    rest = ""
    if len(pieces) > 1:  # two sets of names in turn, so that the last copy is whole until the first ConfigMap names this one
        slot = "b" if _parts(_found(cluster, identifier)).startswith("a") else "a"
        rest = f"{slot}{len(pieces)}"
        for number, piece in enumerate(pieces[1:], 2):
            _put(cluster, _part(identifier, slot, number), {"binaryData": {_KEY: _text(piece)}}, {})
    body: Obj = {"binaryData": {_KEY: _text(pieces[0])}, "data": {_SEAL: seal.signed().decode(), "signature": signature, _REST: rest}}
    _put(cluster, ref_of(identifier), body, {INCIDENT_LABEL: identifier.rsplit("-", 1)[-1], OVER_LABEL: str(over).lower()})


def _put(cluster: Cluster, ref: ObjectRef, body: Obj, labels: dict[str, str]) -> None:
    labels = {"app.kubernetes.io/managed-by": "irkit", **labels}
    try:
        cluster.patch(ref, {**body, "metadata": {"labels": labels}})
    except NotFoundError:
        meta = {"name": ref.name, "namespace": NAMESPACE, "labels": labels}
        cluster.create(CONFIGMAPS, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, **body})


def read(cluster: ClusterReader, identifier: str) -> Copy:
    """Raises NotFoundError, ForbiddenError; EvidenceError where it can't be unpacked."""
    return _unpacked(cluster, identifier.lower(), cluster.get(ref_of(identifier)))


def read_all(cluster: ClusterReader, *, over: bool) -> Iterator[tuple[str, Copy | EvidenceError]]:
    """Every copy, by the name of its ConfigMap without ``irkit-``; ``over``: also those that say they are lifted or closed."""
    labels = INCIDENT_LABEL if over else f"{INCIDENT_LABEL},{OVER_LABEL}!=true"
    for found in cluster.list(CONFIGMAPS, NAMESPACE, labels=labels):
        identifier = str(found["metadata"]["name"]).removeprefix("irkit-")
        try:
            yield identifier, _unpacked(cluster, identifier, found)
        except EvidenceError as error:
            yield identifier, error


def _unpacked(cluster: ClusterReader, identifier: str, found: Obj) -> Copy:
    import gzip
    import zlib

    try:
        packed = base64.b64decode(str(at(found, ("binaryData", _KEY), "")), validate=True)
        if parts := _parts(found):
            packed += b"".join(_rest(cluster, identifier, parts))
        with gzip.GzipFile(fileobj=BytesIO(packed)) as file:
            journal = file.read(_UNPACKED + 1)
    except (binascii.Error, zlib.error, OSError, EOFError, TypeError, ValueError, NotFoundError):  # whoever may write there may write anything
        raise EvidenceError(f"the copy of incident {printable(identifier)} in {NAMESPACE} is damaged") from None
    if len(journal) > _UNPACKED:
        raise EvidenceError(f"the copy of incident {printable(identifier)} in {NAMESPACE} is longer than a journal may be")
    return Copy(identifier, journal, _seal(found), str(at(found, ("data", "signature"), ""))[:200])


def _rest(cluster: ClusterReader, identifier: str, parts: str) -> Iterator[bytes]:
    slot, count = parts[0], int(parts[1:])
    for number in range(2, count + 1):
        found = cluster.get(_part(identifier, slot, number))
        yield base64.b64decode(str(at(found, ("binaryData", _KEY), "")), validate=True)


def _parts(found: Obj) -> str:
    """``a3``: the second and third part are in the ConfigMaps of set a; empty where there is one part."""
    parts = str(at(found, ("data", _REST), ""))
    return parts if parts[:1] in ("a", "b") and parts[1:] in map(str, range(2, _MOST_PARTS + 1)) else ""


def _found(cluster: Cluster, identifier: str) -> Obj:
    try:
        return cluster.get(ref_of(identifier))
    except NotFoundError:
        return {}


def _seal(found: Obj) -> Seal | None:
    try:
        return msgspec.json.decode(str(at(found, ("data", _SEAL), "")), type=Seal)
    except msgspec.DecodeError:
        return None


def _text(octets: bytes) -> str:
    return base64.b64encode(octets).decode()


def digest(journal: bytes) -> str:
    return hashlib.sha256(journal).hexdigest()
