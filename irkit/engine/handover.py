"""A copy of the journal in the cluster, so that a colleague on another machine can lift or resume (design.md §6).

One ConfigMap an incident in namespace ``irkit-system``, where only responders may write. The local journal stays the
truth; what comes from here is verified like any journal before it is believed.
"""

from __future__ import annotations

import base64
import binascii
from io import BytesIO
from pathlib import Path

from irkit.engine import journal
from irkit.engine.holder import NAMESPACE
from irkit.engine.home import Home
from irkit.engine.state import State
from irkit.errors import ConflictError, EvidenceError, ForbiddenError, IrkitError, NotFoundError, RefusedError, UsageError
from irkit.model.incident import INCIDENT_LABEL
from irkit.model.kube import CONFIGMAPS, Obj, ObjectRef, at
from irkit.ports import Cluster
from irkit.text import printable

_KEY = "journal.jsonl.gz"
LIMIT = 900_000  # octets; a ConfigMap holds 1 MiB
_UNPACKED = 64 << 20


def ref_of(identifier: str) -> ObjectRef:
    return ObjectRef(resource=CONFIGMAPS, name=f"irkit-{identifier.lower()}"[:253], namespace=NAMESPACE)


def publish(cluster: Cluster, identifier: str, path: Path) -> str:
    """Write the copy; returns why it could not be, or nothing. A run never fails for want of its copy."""
    import gzip

    packed = gzip.compress(path.read_bytes(), mtime=0)
    if len(packed) > LIMIT:
        return f"the journal is too long for its copy in {NAMESPACE}"
    ref, data = ref_of(identifier), {_KEY: base64.b64encode(packed).decode()}
    meta = {
        "name": ref.name,
        "namespace": NAMESPACE,
        "labels": {INCIDENT_LABEL: identifier.rsplit("-", 1)[-1], "app.kubernetes.io/managed-by": "irkit"},
    }
    body: Obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "binaryData": data}
    try:
        try:
            cluster.patch(ref, {"binaryData": data})
        except NotFoundError:
            cluster.create(CONFIGMAPS, body)
    except (ForbiddenError, NotFoundError, ConflictError) as error:
        return error.message
    except IrkitError as error:
        return f"the copy in {NAMESPACE} was not written: {error.message}"
    return ""


def fetch(cluster: Cluster, identifier: str, home: Home) -> State:
    """Take over an incident of another machine. Raises UsageError where the cluster has none, EvidenceError where it is damaged."""
    try:
        content = _copy(cluster, identifier)
    except (NotFoundError, ForbiddenError) as error:
        raise UsageError(f"there is no incident {printable(identifier)} on this machine, and no copy in {NAMESPACE}: {error.message}",
                         next="irkit incident list") from None  # fmt: skip
    path = home.create(identifier) / journal.NAME
    path.touch(mode=0o600)
    path.write_bytes(content)
    try:
        state = home.load(identifier)
    except EvidenceError:
        path.unlink()
        path.parent.rmdir()
        raise
    return state


def caught_up(cluster: Cluster, state: State, home: Home) -> State:
    """The incident of this machine, with what a colleague who took it over has done since.

    Raises RefusedError where both machines went on with it: then neither journal is the whole truth. A copy that is not
    there, may not be read, or is not of this very incident changes nothing: the local journal is the truth.
    """
    identifier = state.incident.id
    path = home.journal(identifier)
    try:
        theirs = _copy(cluster, identifier)
    except (NotFoundError, ForbiddenError, EvidenceError):
        return state
    ours = path.read_bytes()[: journal.read(path).size]
    if ours.startswith(theirs) or ours.split(b"\n", 1)[0] != theirs.split(b"\n", 1)[0]:
        return state
    if not theirs.startswith(ours):
        raise RefusedError(f"incident {identifier} was gone on with on this machine and on another: neither journal is whole; nothing was changed",
                           next=f"irkit incident show {identifier}, here and there; then kubectl by the runbook")  # fmt: skip
    new = path.with_name(f"{journal.NAME}.new")
    new.touch(mode=0o600)
    new.write_bytes(theirs)
    try:
        journal.read(new)
    except EvidenceError:
        new.unlink()
        return state
    new.replace(path)
    return home.load(identifier)


def _copy(cluster: Cluster, identifier: str) -> bytes:
    """The journal in the cluster. Raises NotFoundError, ForbiddenError; EvidenceError where it can't be unpacked."""
    import gzip
    import zlib

    packed = at(cluster.get(ref_of(identifier)), ("binaryData", _KEY), "")
    try:
        with gzip.GzipFile(fileobj=BytesIO(base64.b64decode(packed, validate=True))) as file:
            return file.read(_UNPACKED)
    except (binascii.Error, zlib.error, OSError, EOFError, TypeError, ValueError):  # whoever may write there may write anything
        raise EvidenceError(f"the copy of incident {printable(identifier)} in {NAMESPACE} is damaged") from None
