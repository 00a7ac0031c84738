"""Generated values in an entry of Vault's KV engine which no ExternalSecret writes into the cluster, as those of a Vault agent."""

from __future__ import annotations

from collections.abc import Iterator

from irkit.model.credential import Credential
from irkit.ports import Observed
from irkit.rotators.generated import Generated
from irkit.text import printable


class VaultKv(Generated):
    name = "vault-kv"

    def takes(self, credential: Credential, seen: Observed) -> bool:
        source = credential.source
        return credential.cls == "generated" and source.kind == "vault" and bool(source.mount and source.path)

    def notes(self, credential: Credential, seen: Observed) -> Iterator[str]:
        yield from kept(credential)
        if not credential.keys:
            where = f"{credential.source.mount}/{credential.source.path}"
            yield printable(f"every text of Vault entry {where} gets a new value: nothing says which of them are secret", 400)


def kept(credential: Credential) -> Iterator[str]:
    """What is to be known of a value in an entry."""
    yield printable(f"{credential.name}: what was signed or encrypted with the old value is not accepted any more; sessions end", 400)
    if credential.source.version == "v1":
        where = printable(f"{credential.source.mount}/{credential.source.path}", 200)
        yield f"Vault entry {where} is of KV version 1: no check-and-set, and no old version to go back to"
