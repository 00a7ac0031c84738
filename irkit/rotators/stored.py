"""What rotators of kept values have in common: read and compare, write only what is still old, deliver, destroy what is left.

`renew` tells by HMAC which keys still hold the value of the before-image, and changes these and no others. So it can be
killed anywhere and called again, and where somebody else changed a key since, theirs stays.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from irkit.model.credential import Credential
from irkit.model.kube import SECRETS, Permission, permission
from irkit.model.outcome import Outcome
from irkit.rotators import delivery
from irkit.rotators.base import Before, Tools, retired, rotated
from irkit.rotators.holders import Values, open_holder, prints

Make = Callable[[Values], Values]
"""From the old values of the keys that still hold them to new ones; fewer where some are left to a human."""


def before(credential: Credential, tools: Tools, possible: Callable[[Values], object] = lambda old: None) -> Before:
    """The before-image. ``possible`` raises an IrkitError where no new value could be made. Raises as `delivery.check`."""
    kept = open_holder(credential, tools).read()
    delivery.check(credential, kept, tools)
    possible(kept.values)
    return {"values": prints(kept.values, tools), "version": kept.version}


def renew(credential: Credential, image: Before, tools: Tools, make: Make) -> Outcome:
    """New values for all keys that still hold the old one, in one write; then into the cluster."""
    holder = open_holder(credential, tools)
    kept = holder.read()
    old = {k: v for k, v in kept.values.items() if tools.print(v) == image["values"].get(k)}
    new = make(old) if old else {}
    ports = tools.ports  # a person at a prompt may have taken longer than the step has: the sync gets its time all the same
    tools = msgspec.structs.replace(tools, until=max(tools.until, ports.clock.monotonic() + ports.settings.rotation.sync_timeout))
    if new:
        kept = holder.write(kept, new)
    notes = [holder.mark(kept)] if new or not old else []
    wanted = {k: v for k, v in kept.values.items() if k not in old or k in new}
    if wanted:
        notes.append(delivery.deliver(credential, delivery.same(wanted), tools, asked_before=not new))
    said = f"{holder.where} holds a new value" + ("" if new else " already")
    return rotated("; ".join([said, *(n for n in notes if n)]))


def retire(credential: Credential, image: Before, tools: Tools) -> Outcome:
    """No version that can be read holds the old value any more."""
    return retired(*open_holder(credential, tools).retire(image["values"], tools.print, str(image.get("version", ""))))


def permissions(credential: Credential) -> tuple[Permission, ...]:
    """What storing and delivering writes in the cluster."""
    external, ref = credential.source.external_secret, credential.ref
    if external is not None:
        return (permission("patch", external.resource, external.namespace),)
    if credential.source.kind != "kubernetes":
        return ()
    verbs = ("patch", "create", "delete") if credential.immutable else ("patch",)
    return tuple(permission(verb, SECRETS, ref.namespace) for verb in verbs)
