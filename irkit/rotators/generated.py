"""Values that irkit makes itself: passwords, keys, tokens of the application's own.

Three rotators by where the value is kept: a plain Secret, an entry of Vault that External Secrets writes into the cluster,
and an entry that something else reads (a Vault agent, the application itself).
"""

from __future__ import annotations

from collections.abc import Iterator

from irkit.model.credential import Credential
from irkit.model.kube import Permission
from irkit.model.outcome import Outcome
from irkit.ports import Observed
from irkit.rotators import stored, values
from irkit.rotators.base import Before, Tools
from irkit.text import printable


class Generated:
    """A plain Secret: its keys get new values in one patch; an immutable one is replaced by another Secret."""

    name = "generated"
    asks = False

    def takes(self, credential: Credential, seen: Observed) -> bool:
        return credential.cls == "generated" and credential.source.kind == "kubernetes"

    def permissions(self, credential: Credential) -> tuple[Permission, ...]:
        return stored.permissions(credential)

    def notes(self, credential: Credential, seen: Observed) -> Iterator[str]:
        yield printable(f"{credential.name}: what was signed or encrypted with the old value is not accepted any more; sessions end", 400)
        if credential.source.owner:
            yield printable(f"{credential.ref} is also written by {credential.source.owner}: put the new value there, or the old one comes back", 400)
        if credential.immutable:
            yield f"{credential.ref} is immutable: its consumers are moved to a new Secret; whoever manages them must take over the name"

    def before(self, credential: Credential, tools: Tools) -> Before:
        return stored.before(credential, tools, lambda old: values.plan(old, credential.ref, tools.ports.settings.rotation.formats))

    def renew(self, credential: Credential, before: Before, tools: Tools) -> Outcome:
        formats = tools.ports.settings.rotation.formats
        return stored.renew(credential, before, tools, lambda old: values.fresh(old, credential.ref, formats))

    def retire(self, credential: Credential, before: Before, tools: Tools) -> Outcome:
        return stored.retire(credential, before, tools)
