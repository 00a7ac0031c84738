"""Making the key that copies of journals in ``irkit-system`` are signed with. Its value is shown to nobody."""

from __future__ import annotations

from irkit.engine import signing
from irkit.engine.holder import NAMESPACE
from irkit.errors import ConflictError, Declined, NotFoundError, RefusedError
from irkit.ports import Ports
from irkit.text import printable


def make(ports: Ports, *, rotate: bool) -> str:
    """Create the Secret, or give it a new key beside the last one; returns what was done, in a sentence.

    Raises Declined; RefusedError where there is one already, or none to rotate; ForbiddenError, UnreachableError.
    """
    where = ports.connection.identify()
    act = "Sign with a new key; what the last one signed stays good, what the one before it signed does not" if rotate else "Create it"
    asked = f"Secret {NAMESPACE}/{signing.SECRET.name} of {printable(where.context)} ({printable(where.server)}). {act}?"
    if not ports.approver.confirm(asked):
        raise Declined("nothing was changed", next=f"irkit doctor --{'rotate' if rotate else 'create'}-signing-key")
    try:
        (signing.rotate if rotate else signing.create)(ports.cluster)
    except NotFoundError:
        if rotate:
            raise RefusedError(f"the cluster has no Secret {NAMESPACE}/{signing.SECRET.name}", next="irkit doctor --create-signing-key") from None
        raise RefusedError(f"the cluster has no namespace {NAMESPACE}", next=f"kubectl create namespace {NAMESPACE}") from None
    except ConflictError:
        if rotate:
            raise RefusedError(f"somebody else changed Secret {signing.SECRET.name} at the same moment; nothing was changed") from None
        raise RefusedError(f"Secret {NAMESPACE}/{signing.SECRET.name} is there already; nothing was changed",
                           next="irkit doctor --rotate-signing-key") from None  # fmt: skip
    if rotate:
        return f"Copies of incidents in {NAMESPACE} are signed with a new key from now on; the last key still counts."
    return f"Copies of incidents in {NAMESPACE} are signed from now on. Let only actors and responders read Secret {signing.SECRET.name}."
