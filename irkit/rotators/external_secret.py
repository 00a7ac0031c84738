"""Generated values in an entry of Vault's KV engine which External Secrets Operator writes into the cluster: the usual way."""

from __future__ import annotations

from collections.abc import Iterator

from irkit.model.credential import Credential
from irkit.ports import Observed
from irkit.rotators.generated import Generated
from irkit.rotators.vault_kv import kept
from irkit.text import printable


class ExternalSecret(Generated):
    name = "external-secret"

    def takes(self, credential: Credential, seen: Observed) -> bool:
        return credential.cls == "generated" and synced(credential)

    def notes(self, credential: Credential, seen: Observed) -> Iterator[str]:
        yield from kept(credential)
        for note in credential.source.notes:
            yield printable(f"{credential.source.external_secret}: {note}", 400)


def synced(credential: Credential) -> bool:
    """Whether the value is in an entry of Vault's KV that irkit can write to, and an ExternalSecret reads it."""
    source = credential.source
    named = source.whole or all(k in source.properties for k in credential.keys)
    return source.kind == "external-secret" and source.provider == "vault" and bool(source.mount and source.path) and named
