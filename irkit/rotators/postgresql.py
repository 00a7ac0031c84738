"""A PostgreSQL login's password, by ``ALTER ROLE``: stored as pending, learnt by the database, promoted.

So the database takes, at every instant, the password that applications read or the one pending beside it, and whoever is
killed in between goes on with what is pending. All values that hold the password are changed in one write: as it is, and in
connection URLs. Two runs at once use the same pending one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from irkit.errors import Declined, EndStateError, IrkitError, UnreachableError
from irkit.model.credential import Credential
from irkit.model.kube import SECRETS, Permission, permission
from irkit.model.outcome import Outcome, Skipped
from irkit.ports import Database, Observed
from irkit.rotators import delivery, logins, stored, values
from irkit.rotators.base import Before, Tools, retired, rotated
from irkit.rotators.holders import Holder, Kept, Values, open_holder, prints, promote
from irkit.settings.rotation import DatabaseSettings
from irkit.text import printable


class PostgreSql:
    name = "postgresql"
    asks = False

    def takes(self, credential: Credential, seen: Observed) -> bool:
        """All of class database that no engine of Vault's rotates: where nothing says which database, this one says so."""
        return credential.cls == "database"

    def permissions(self, credential: Credential) -> tuple[Permission, ...]:
        """A plain Secret's pending value is in a Secret beside it."""
        beside = ("create", "delete") if credential.source.kind == "kubernetes" else ()
        found = (*stored.permissions(credential), *(permission(verb, SECRETS, credential.ref.namespace) for verb in beside))
        return tuple(dict.fromkeys(found))

    def notes(self, credential: Credential, seen: Observed) -> Iterator[str]:
        login = logins.settings_of(credential, seen.settings.databases)
        if login is None:
            yield printable(f"{credential.name} is left to you: {_unknown(credential)}", 400)
            return
        yield printable(f"{credential.name}: who uses it can open no new connection as {login.user} until it is restarted; open ones live on", 400)
        if credential.source.kind == "kubernetes" and credential.source.owner:
            yield printable(f"{credential.ref} is also written by {credential.source.owner}: put the new value there, or the old one comes back", 400)

    def before(self, credential: Credential, tools: Tools) -> Before:
        login = logins.settings_of(credential, tools.ports.settings.databases)
        if login is None:
            raise Declined(_unknown(credential))
        kept = open_holder(credential, tools).read()
        delivery.check(credential, kept, tools)
        database = tools.ports.vaults.database(credential.source.database)
        found = _accepted(kept.values, login, database)
        if not found and _accepted(kept.pending, login, database):  # an earlier incident's run was killed half-way
            found = {k: p for k, p in logins.passwords(kept.values, login.user).items() if k in kept.pending}
        if not found:
            raise EndStateError(
                f"database {printable(credential.source.database)} takes nothing that {credential.ref} holds as password of {printable(login.user)}:"
                " this is not the database that it is for, or the password was changed there; nothing was written",
                next=f"check databases.{printable(credential.source.database)} in the settings")  # fmt: skip
        _fresh(credential, next(iter(found)), found, tools)
        return {"values": prints({k: kept.values[k] for k in found}, tools), "version": kept.version}

    def renew(self, credential: Credential, before: Before, tools: Tools) -> Outcome:
        login = logins.settings_of(credential, tools.ports.settings.databases)
        if login is None:
            return Skipped(_unknown(credential))
        holder, database = open_holder(credential, tools), tools.ports.vaults.database(credential.source.database)
        kept, proof = holder.read(), ""
        old = {k: kept.values[k] for k, p in before["values"].items() if k in kept.values and tools.print(kept.values[k]) == p}
        if old:
            pending, kept = _proposed(credential, kept, old, login, holder, tools)
            password = next(iter(logins.passwords(pending, login.user).values()))
            _learn(login, password, database, holder, kept)
            proof = logins.refused(credential, login, next(iter(logins.passwords(old, login.user).values())), tools)
            kept = holder.write(kept, pending)
        else:
            kept = _in_force(kept, before, login, database, holder)
        wanted = {k: kept.values[k] for k in before["values"] if k in kept.values}
        notes = [holder.mark(kept), delivery.deliver(credential, delivery.same(wanted), tools, asked_before=not old)]
        return rotated("; ".join([f"{printable(login.user)} has a new password, kept in {holder.where}", *(n for n in notes if n)]), proof)

    def retire(self, credential: Credential, before: Before, tools: Tools) -> Outcome:
        what, how = open_holder(credential, tools).retire(before["values"], tools.print, str(before.get("version", "")))
        if what == "alive":
            return retired(what, how)
        return logins.told(before, how if what == "dead" else "", "it was replaced in the database before a login with it could be tried")


def _unknown(credential: Credential) -> str:
    name = credential.source.database
    if name:
        return f"the settings have no database {printable(name)!r}"
    return "nothing says which database it is of: annotation irkit.dev/database, or rotation.classes in the settings"


def _accepted(values: Values, login: DatabaseSettings, database: Database) -> dict[str, str]:
    """By key, the passwords that the database takes; each is tried once."""
    found = logins.passwords(values, login.user)
    good = {p for p in set(found.values()) if database.login(login.user, p)}
    return {k: p for k, p in found.items() if p in good}


def _fresh(credential: Credential, key: str, old: dict[str, str], tools: Tools) -> str:
    """Another password. Raises UsageError where a format forbids it, or there is none to make it like."""
    return values.fresh({key: old[key].encode()}, credential.ref, tools.ports.settings.rotation.formats)[key].decode()


def _proposed(credential: Credential, kept: Kept, old: Values, login: DatabaseSettings, holder: Holder, tools: Tools) -> tuple[Values, Kept]:
    """What is to replace ``old``, kept as pending: what an earlier run proposed, else something new."""
    pending = {k: kept.pending[k] for k in old if k in kept.pending and kept.pending[k] != old[k]}
    if set(pending) == set(old) and len(set(logins.passwords(pending, login.user).values())) == 1:
        return pending, kept
    found = logins.passwords(old, login.user)
    password = _fresh(credential, next(iter(found)), found, tools)
    pending = {k: logins.with_password(v, password) for k, v in old.items()}
    return pending, holder.propose(kept, pending)


def _learn(login: DatabaseSettings, password: str, database: Database, holder: Holder, kept: Kept) -> None:
    """Have the database take ``password``. Where it refuses to, nothing is pending any more, and the old one goes on."""
    if database.login(login.user, password):
        return
    try:
        database.set_password(login.user, password)
    except UnreachableError:  # it may have learnt it: the next run asks
        raise
    except IrkitError:
        with suppress(IrkitError):
            holder.drop(kept)
        raise
    if not database.login(login.user, password):
        raise EndStateError(f"the database was given a new password of {printable(login.user)} and does not take it", next="irkit resume")


def _in_force(kept: Kept, before: Before, login: DatabaseSettings, database: Database, holder: Holder) -> Kept:
    """What is in force is no more the old value. Whoever wrote it, the database must take it: an application reads it.

    Usually that is an earlier run's promotion. Else somebody else wrote over it after the database had learnt the pending one.
    """
    now = {k: v for k, v in kept.values.items() if k in before["values"]}
    if _accepted(now, login, database):
        return holder.drop(kept) if kept.pending else kept
    if kept.pending and _accepted(kept.pending, login, database):
        return promote(holder, kept)
    found = logins.passwords(now, login.user)
    if not found:
        raise EndStateError(f"{holder.where} holds no password of {printable(login.user)} any more", next="irkit blast-radius")
    database.set_password(login.user, next(iter(found.values())))
    return kept
