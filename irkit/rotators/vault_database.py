"""Logins that Vault's database engine makes or keeps: a static role, the engine's own (root) login, dynamic leases.

Vault sets the password itself and keeps it before the database has it (its write-ahead log), so nothing can be lost here;
what a Secret or an entry holds a copy of, gets the new one. Source: OpenBao docs, "Database secrets engine (API)",
"/sys/leases".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import msgspec

from irkit.credentials import Consumers
from irkit.errors import EndStateError, ForbiddenError, InvalidError, NotFoundError, RefusedError, UsageError
from irkit.model.credential import Credential
from irkit.model.kube import Permission
from irkit.model.outcome import Outcome
from irkit.ports import Observed, SecretStore
from irkit.rotators import delivery, logins, stored
from irkit.rotators.base import Before, Tools, retired, rotated
from irkit.rotators.holders import Holder, Values, open_holder, prints
from irkit.rotators.secret import decoded
from irkit.settings.rotation import DatabaseSettings
from irkit.text import plural, printable


class VaultDatabase:
    name = "vault-database"
    asks = False

    def takes(self, credential: Credential, seen: Observed) -> bool:
        login = logins.settings_of(credential, seen.settings.databases)
        return login is not None and login.engine.startswith("vault-")

    def permissions(self, credential: Credential) -> tuple[Permission, ...]:
        return stored.permissions(credential)

    def notes(self, credential: Credential, seen: Observed) -> Iterator[str]:
        login = logins.settings_of(credential, seen.settings.databases)
        assert login is not None
        match login.engine:
            case "vault-root":
                yield printable(f"{credential.name}: Vault alone will know the new password of {login.role}; this copy of it becomes useless", 400)
            case "vault-dynamic":
                yield printable(
                    f"{credential.name}: leases of {login.mount}/creds/{login.role} from before are revoked; restarted pods get new ones", 400
                )
            case _:
                yield printable(f"{credential.name}: who uses it can open no new connection until it is restarted; open ones live on", 400)

    def before(self, credential: Credential, tools: Tools) -> Before:
        return _engine(credential, tools).before()

    def renew(self, credential: Credential, before: Before, tools: Tools) -> Outcome:
        return _engine(credential, tools).renew(before)

    def retire(self, credential: Credential, before: Before, tools: Tools) -> Outcome:
        return _engine(credential, tools).retire(before)


class _Static(NamedTuple):
    """A role whose login stays and whose password Vault changes."""

    credential: Credential
    login: DatabaseSettings
    tools: Tools

    def before(self) -> Before:
        user, password = self._now()
        holder = _holder(self.credential, self.tools)
        if holder:
            kept = holder.read()
            delivery.check(self.credential, kept, self.tools)
            values, version = kept.values, kept.version
        else:
            values, version = _delivered(self.credential, self.tools), ""
        copies = {k: v for k, v in values.items() if logins.passwords({k: v}, user).get(k) == password}
        if values and not copies:
            raise RefusedError(
                f"{self.credential.ref} does not hold the password that {printable(self._vault.where)} has for static role"
                f" {printable(self.login.role)}: this is not the Vault that it is from; nothing was written",
                next="check VAULT_ADDR, and mount and role under databases in the settings")  # fmt: skip
        return {"password": self.tools.print(password), "user": user, "values": prints(copies, self.tools), "version": version}

    def renew(self, before: Before) -> Outcome:
        user, password = self._now()
        proof, old = "", password
        if self.tools.print(password) == before["password"]:
            self._vault.write(f"{_path(self.login.mount)}/rotate-role/{_path(self.login.role)}", {})
            user, password = self._now()
            if password == old:
                raise EndStateError(f"Vault did not change the password of static role {printable(self.login.role)}", next="irkit resume")
            proof = logins.refused(self.credential, msgspec.structs.replace(self.login, user=user), old, self.tools)
        notes = self._settled(before, user, password)
        return rotated("; ".join([f"Vault rotated static role {printable(self.login.role)}", *(n for n in notes if n)]), proof)

    def _settled(self, before: Before, user: str, password: str) -> list[str]:
        """Copies until Vault still has what was copied: somebody else may rotate the role at the same time. Raises EndStateError."""
        for _ in range(5):
            notes = self._copy(before, user, password)
            user, now = self._now()
            if now == password:
                return notes
            password = now
        raise EndStateError(f"static role {printable(self.login.role)} is being rotated by somebody else, again and again", next="irkit resume")

    def _copy(self, before: Before, user: str, password: str) -> list[str]:
        """Into what irkit keeps copies in, and into the cluster."""

        def wanted(data: Values) -> bool:
            return all(logins.passwords(data, user).get(k) == password for k in before["values"])

        holder = _holder(self.credential, self.tools)
        notes = []
        if holder:
            kept = holder.read()
            # whatever is there that is not what Vault says locks people out, also where another rotation at the same time put it there
            held = logins.passwords({k: v for k, v in kept.values.items() if k in before["values"]}, user)
            stale = {k: kept.values[k] for k, found in held.items() if found != password}
            if stale:
                kept = holder.write(kept, {k: logins.with_password(v, password) for k, v in stale.items()})
            notes.append(holder.mark(kept))
        return [*notes, delivery.deliver(self.credential, wanted, self.tools, asked_before=True)]

    def retire(self, before: Before) -> Outcome:
        holder = _holder(self.credential, self.tools)
        how = ""
        if holder and before["values"]:
            what, how = holder.retire(before["values"], self.tools.print, str(before.get("version", "")))
            if what == "alive":
                return retired(what, how)
            how = how if what == "dead" else ""
        if self.tools.print(self._now()[1]) == before["password"]:
            return retired("alive", f"static role {printable(self.login.role)} has the old password again")
        return logins.told(before, how, "Vault has given the login another password; no login with the old one was tried")

    def _now(self) -> tuple[str, str]:
        """User and password. Raises EndStateError where there is no such role."""
        try:
            data = self._vault.read(f"{_path(self.login.mount)}/static-creds/{_path(self.login.role)}").get("data") or {}
        except (NotFoundError, InvalidError):
            raise EndStateError(f"{printable(self._vault.where)} has no static role {printable(self.login.role)} at {printable(self.login.mount)}",
                                next="check VAULT_ADDR, and mount and role under databases in the settings") from None  # fmt: skip
        if not (isinstance(data.get("username"), str) and isinstance(data.get("password"), str)):
            raise EndStateError(f"static role {printable(self.login.role)} has no password", next="rotate it by hand")
        return data["username"], data["password"]

    @property
    def _vault(self) -> SecretStore:
        return self.tools.ports.vaults.vault()


class _Root(NamedTuple):
    """The login by which the engine itself works. Nobody but Vault knows its password afterwards."""

    credential: Credential
    login: DatabaseSettings
    tools: Tools

    def before(self) -> Before:
        cluster, ref = self.tools.ports.cluster, self.credential.ref
        if users := [c for c in Consumers(ref.namespace, cluster, kept=self.tools.kept).of(ref) if c.pods]:
            raise EndStateError(f"{users[0].ref} uses {ref}, and would be locked out: Vault alone would know the new password; nothing was written",
                                next="give it a login of its own, as a static role")  # fmt: skip
        try:
            self.tools.ports.vaults.vault().read(f"{_path(self.login.mount)}/config/{_path(self.login.role)}")
        except NotFoundError:
            raise RefusedError(f"Vault has no database connection {printable(self.login.role)} at {printable(self.login.mount)}",
                               next="check VAULT_ADDR, and mount and role under databases in the settings") from None  # fmt: skip
        found = logins.passwords(_delivered(self.credential, self.tools), self.login.user)
        if self.login.host and found and not self._takes(found):
            raise EndStateError(f"the database takes nothing that {ref} holds as password of {printable(self.login.user)}: it is for another one",
                               next="check databases in the settings")  # fmt: skip
        return {"values": prints({k: p.encode() for k, p in found.items()}, self.tools)}

    def renew(self, before: Before) -> Outcome:
        self.tools.ports.vaults.vault().write(f"{_path(self.login.mount)}/rotate-root/{_path(self.login.role)}", {})
        held = logins.passwords(_delivered(self.credential, self.tools), self.login.user)
        old = [p for k, p in held.items() if self.tools.print(p) == before["values"].get(k)]
        proofs = [logins.refused(self.credential, self.login, p, self.tools) for p in dict.fromkeys(old)]
        return rotated(f"Vault rotated the login of connection {printable(self.login.role)}; {self.credential.ref} holds the useless old one",
                       proofs[0] if proofs and all(proofs) else "")  # fmt: skip

    def retire(self, before: Before) -> Outcome:
        return logins.told(before, "", "Vault has given the login another password; no login with the old one was tried")

    def _takes(self, found: dict[str, str]) -> bool:
        database = self.tools.ports.vaults.database(self.credential.source.database)
        return any(database.login(self.login.user, p) for p in set(found.values()))


class _Dynamic(NamedTuple):
    """Leases, each a login of its own. Those from before are revoked once the pods have new ones."""

    credential: Credential
    login: DatabaseSettings
    tools: Tools

    def before(self) -> Before:
        return {"leases": self._leases(), "values": prints(_delivered(self.credential, self.tools), self.tools)}

    def renew(self, before: Before) -> Outcome:
        external = self.credential.source.external_secret
        if before["leases"] is None:  # which of them are old can't be told later, so all end now
            self._vault.write(f"sys/leases/revoke-prefix/{self._prefix}", {"sync": True})
            said = f"all leases of {printable(self._prefix)} are revoked (they may not be listed, so none could be spared)"
        else:
            said = f"{plural(len(before['leases']), 'lease')} of {printable(self._prefix)} will be revoked"
        if external is not None:
            changed: Callable[[Values], bool] = lambda data: any(self.tools.print(v) != before["values"].get(k) for k, v in data.items())  # noqa: E731
            delivery.deliver(self.credential, changed, self.tools, asked_before=True)
        return rotated(f"{said}; pods that are restarted get new ones")

    def retire(self, before: Before) -> Outcome:
        for lease in before["leases"] or ():
            self._vault.write("sys/leases/revoke", {"lease_id": lease, "sync": True})
        if left := [lease for lease in before["leases"] or () if self._lives(lease)]:
            return retired(
                "alive", f"{plural(len(left), 'lease')} of {printable(self._prefix)} can't be revoked: the database did not drop the login"
            )
        count = "all leases" if before["leases"] is None else plural(len(before["leases"]), "lease")
        return retired("untested", f"Vault revoked {count} of {printable(self._prefix)} and dropped the logins; none was tried")

    def _leases(self) -> list[str] | None:
        """None where they may not be listed."""
        try:
            return [f"{self._prefix}/{name}" for name in self._vault.list(f"sys/leases/lookup/{self._prefix}")]
        except ForbiddenError:
            return None

    def _lives(self, lease: str) -> bool:
        try:
            self._vault.write("sys/leases/lookup", {"lease_id": lease})
        except (InvalidError, NotFoundError):
            return False
        except ForbiddenError:
            return False  # its revocation was answered: with sync, after the login was dropped
        return True

    @property
    def _prefix(self) -> str:
        return f"{_path(self.login.mount)}/creds/{_path(self.login.role)}"

    @property
    def _vault(self) -> SecretStore:
        return self.tools.ports.vaults.vault()


def _engine(credential: Credential, tools: Tools) -> _Static | _Root | _Dynamic:
    login = logins.settings_of(credential, tools.ports.settings.databases)
    kinds: dict[str, Callable[[Credential, DatabaseSettings, Tools], _Static | _Root | _Dynamic]] = {
        "vault-static": _Static,
        "vault-root": _Root,
        "vault-dynamic": _Dynamic,
    }
    if login is None or login.engine not in kinds:
        raise UsageError(f"the settings have no such database any more: {printable(credential.source.database)}", next="irkit resume")
    if not login.role:
        raise UsageError(f"databases.{printable(credential.source.database)} in the settings has no role")
    return kinds[login.engine](credential, login, tools)


def _holder(credential: Credential, tools: Tools) -> Holder | None:
    """Where irkit keeps the copy; None where something reads it from Vault's database engine by itself."""
    source = credential.source
    if source.kind == "kubernetes" or (source.kind == "external-secret" and source.mount and source.path):
        return open_holder(credential, tools)
    return None


def _delivered(credential: Credential, tools: Tools) -> dict[str, bytes]:
    """The values as they are in the Secret; none where there is no Secret."""
    if credential.ref.kind != "Secret":
        return {}
    try:
        found = decoded(tools.ports.cluster.get(msgspec.structs.replace(credential.ref, uid="")))
    except NotFoundError:
        return {}
    return {k: v for k, v in found.items() if k in credential.keys}


def _path(part: str) -> str:
    return part.strip("/")
