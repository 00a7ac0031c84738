"""Logins of a real PostgreSQL: by ALTER ROLE with a pending value, and by Vault's database engine (a real OpenBao)."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec
import pytest

from irkit.adapters.outside import Outside
from irkit.errors import Declined, EndStateError, ForbiddenError, IrkitError, RefusedError, UnreachableError
from irkit.model.credential import DATABASE_ANNOTATION, Credential
from irkit.model.kube import DEPLOYMENTS, PODS, SECRETS
from irkit.model.outcome import Done
from irkit.rotators import choose, logins
from irkit.rotators.base import Before
from irkit.rotators.holders import open_holder
from irkit.settings.rotation import DatabaseSettings, VaultSettings
from tests.rotators.test_killed import Fuse, Fused, Killed, fused
from tests.rotators.world import EXTERNALSECRETS, World, until

if TYPE_CHECKING:
    from tests.components.openbao import OpenBao
    from tests.components.postgres import Postgres

OLD = "old-p@ss/word-0123456789"


@pytest.fixture
def world(rehearsal: World, postgres: Postgres, tmp_path: Path) -> World:
    """With the database ``main``, whose login ``settings.user`` has the password OLD."""
    admin, password = postgres.role(admin=True)
    user, _ = postgres.role(password=OLD)
    (tmp_path / "admin").write_text(f"{password}\n")
    main = DatabaseSettings(engine="postgresql", user=user, host=postgres.host, port=postgres.port, ca_file=postgres.ca, admin=admin,
                            admin_password_file=tmp_path / "admin")  # fmt: skip
    use(rehearsal, main)
    return rehearsal


def use(world: World, login: DatabaseSettings, openbao: OpenBao | None = None) -> None:
    """``main`` is this login; with ``openbao``, that is the Vault."""
    world.set(databases={"main": login}, **({"vault": VaultSettings(address=openbao.address)} if openbao else {}))
    world.ports = msgspec.structs.replace(world.ports, vaults=Outside(world.ports.settings))


def user(world: World) -> str:
    return world.ports.settings.databases["main"].user


def values(world: World) -> dict[str, str]:
    """As they stand in Secrets: the password, a URL with it, and what is no password."""
    url = f"postgresql://{user(world)}:{quote(OLD, safe='')}@db:5432/app?sslmode=require"
    return {"PASSWORD": OLD, "URL": url, "USER": user(world), "HOST": "db"}


def plain(world: World, name: str = "db", **keys: str) -> Credential:
    made = world.secret(name, "database", keys or values(world))
    world.patch(SECRETS, name, {"metadata": {"annotations": {DATABASE_ANNOTATION: "main"}}})
    assert made
    return world.credential(name)


def synced(world: World, name: str = "db") -> Credential:
    world.put(f"prod/{name}", **values(world), other="sibling")
    keys = {k: k for k in values(world)}
    world.external(name, "database", keys, path=f"prod/{name}")
    world.patch(EXTERNALSECRETS, name, {"metadata": {"annotations": {DATABASE_ANNOTATION: "main"}}})
    return world.credential(name)


MAKERS = [plain, synced]


def stages(world: World, credential: Credential) -> tuple[Before, Any, Any]:
    rotator = choose(credential, world.seen())
    before = rotator.before(credential, world.tools())
    renewed = rotator.renew(credential, before, world.tools())
    proof = renewed.data.get("proof", "") if isinstance(renewed, Done) else ""
    return before, renewed, rotator.retire(credential, {**before, "proof": proof}, world.tools())


def password(world: World, name: str = "db") -> str:
    """The one that all values of the Secret agree about."""
    held = world.values(name)
    found = logins.passwords({k: held[k].encode() for k in ("PASSWORD", "URL")}, user(world))
    assert len(set(found.values())) == 1, held
    assert {k: held[k] for k in ("USER", "HOST")} == {"USER": user(world), "HOST": "db"}
    return found["PASSWORD"]


@pytest.mark.parametrize("make", MAKERS)
def test_postgresql_learns_a_new_password_and_refuses_the_old_one(world: World, postgres: Postgres, make: Any) -> None:
    credential = make(world)
    before, renewed, retired = stages(world, credential)
    assert OLD not in repr(before)
    assert isinstance(renewed, Done)
    new = password(world)
    assert (postgres.login(user(world), new), postgres.login(user(world), OLD), new != OLD) == (True, False, True)
    assert retired.data["oldValue"] == "dead"
    assert retired.data["how"].startswith(f"login of {user(world)} at {postgres.host}:{postgres.port} with it is refused")
    assert open_holder(credential, world.tools()).read().pending == {}


class FusedWithDatabase(Fused):
    def __init__(self, outside: Any, fuse: Fuse) -> None:
        super().__init__(outside.vault(), fuse)
        self._outside = outside

    def database(self, name: str) -> Any:
        return FusedDatabase(self._outside.database(name), self._fuse)


class FusedDatabase:
    def __init__(self, database: Any, fuse: Fuse) -> None:
        self._database, self._fuse = database, fuse

    def login(self, name: str, secret: str) -> bool:
        return bool(self._database.login(name, secret))

    def set_password(self, name: str, secret: str) -> None:
        self._fuse.before()
        self._database.set_password(name, secret)
        self._fuse.after()


@pytest.mark.slow
@pytest.mark.parametrize("make", MAKERS)
def test_killed_at_any_write_nobody_is_locked_out(world: World, postgres: Postgres, make: Any) -> None:
    for at in itertools.count():
        name = f"db{at}"
        with postgres.superuser() as connection:
            connection.execute(f"ALTER ROLE {user(world)} PASSWORD '{OLD}'".encode())
        credential = make(world, name)
        rotator = choose(credential, world.seen())
        before = rotator.before(credential, world.tools())
        fuse, killed = Fuse(at), False
        for _ in range(2):
            ports = msgspec.structs.replace(fused(world.ports, fuse), vaults=FusedWithDatabase(world.ports.vaults, fuse))
            try:
                renewed = rotator.renew(credential, before, world.tools(ports=ports))
                retired = rotator.retire(credential, before, world.tools(ports=ports))
            except Killed:
                killed = True
                kept = open_holder(credential, world.tools()).read()
                known = {
                    **logins.passwords(kept.values, user(world)),
                    **{f"pending {k}": p for k, p in logins.passwords(kept.pending, user(world)).items()},
                }
                assert any(postgres.login(user(world), p) for p in set(known.values())), "locked out"
        assert isinstance(renewed, Done)
        assert isinstance(retired, Done)
        new = password(world, name)
        assert (postgres.login(user(world), new), postgres.login(user(world), OLD)) == (True, False)
        assert open_holder(credential, world.tools()).read().pending == {}
        if not killed:
            break
    assert at >= 6


def test_a_database_that_refuses_leaves_the_old_password_in_force(world: World, postgres: Postgres) -> None:
    """The administrator has no right to: nothing is pending any more. It does not answer: what is pending stays for the next run."""
    credential = plain(world)
    rotator, tools = choose(credential, world.seen()), world.tools()
    before = rotator.before(credential, tools)
    with postgres.superuser() as connection:
        connection.execute(f"ALTER ROLE {world.ports.settings.databases['main'].admin} NOSUPERUSER".encode())
    with pytest.raises(ForbiddenError, match=r"does not let .* set that password"):
        rotator.renew(credential, before, tools)
    assert (password(world), open_holder(credential, tools).read().pending) == (OLD, {})
    assert postgres.login(user(world), OLD)


@pytest.mark.parametrize("make", MAKERS)
def test_somebody_who_writes_over_a_learnt_password_is_not_locked_out(world: World, postgres: Postgres, make: Any) -> None:
    credential = make(world)
    rotator, tools = choose(credential, world.seen()), world.tools()
    before = rotator.before(credential, tools)
    holder = open_holder(credential, tools)
    theirs = {"PASSWORD": b"somebody-elses-0123", "URL": f"postgresql://{user(world)}:somebody-elses-0123@db/app".encode()}
    holder.write(holder.read(), theirs)
    world.ports.vaults.database("main").set_password(user(world), "learnt-and-lost")
    assert isinstance(rotator.renew(credential, before, tools), Done)
    assert password(world) == "somebody-elses-0123"
    assert postgres.login(user(world), "somebody-elses-0123")


def test_the_wrong_database_is_refused_before_any_write(world: World) -> None:
    credential = plain(world, PASSWORD="of-another-database-0123", USER=user(world))
    with pytest.raises(EndStateError, match=r"takes nothing that .* holds") as refused:
        choose(credential, world.seen()).before(credential, world.tools())
    assert "of-another" not in refused.value.message


def test_a_database_without_a_name_is_left_to_a_human(world: World) -> None:
    world.secret("db", "database", {"PASSWORD": OLD})
    credential = world.credential("db")
    with pytest.raises(Declined, match=r"annotation irkit.dev/database"):
        choose(credential, world.seen()).before(credential, world.tools())
    assert "irkit.dev/database" in next(choose(credential, world.seen()).notes(credential, world.seen()))


# Vault's database engine


@pytest.fixture
def engine(world: World, openbao: OpenBao, postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> tuple[World, str]:
    """``main`` is a static role of a fresh engine for the same login. Also the engine's mount."""
    monkeypatch.setenv("VAULT_TOKEN", openbao.token)
    mount = openbao.database(postgres)
    openbao.static_role(mount, user(world))
    main = msgspec.structs.replace(world.ports.settings.databases["main"], engine="vault-static", mount=mount, role=user(world), admin="")
    use(world, main, openbao)
    return world, mount


def static(openbao: OpenBao, mount: str, role: str) -> str:
    return str(openbao.admin.read(f"{mount}/static-creds/{role}")["data"]["password"])


@pytest.mark.slow
def test_a_static_role_is_rotated_and_its_copies_follow(engine: tuple[World, str], openbao: OpenBao, postgres: Postgres) -> None:
    world, mount = engine
    for at in (None, 0, 1, 2, 3):
        old = static(openbao, mount, user(world))
        name = "db" if at is None else f"db{at}"
        url = f"postgresql://{user(world)}:{old}@db/app"
        credential = plain(world, name, PASSWORD=old, URL=url, USER=user(world), HOST="db")
        rotator = choose(credential, world.seen())
        assert rotator.name == "vault-database"
        before = rotator.before(credential, world.tools())
        if at is not None:
            fuse = Fuse(at)
            with pytest.raises(Killed):
                rotator.renew(
                    credential,
                    before,
                    world.tools(ports=msgspec.structs.replace(fused(world.ports, fuse), vaults=FusedWithDatabase(world.ports.vaults, fuse))),
                )
        renewed = rotator.renew(credential, before, world.tools())
        assert isinstance(renewed, Done)
        assert password(world, name) == static(openbao, mount, user(world)) != old
        assert postgres.login(user(world), password(world, name))
        retired = rotator.retire(credential, {**before, "proof": renewed.data.get("proof", "")}, world.tools())
        assert isinstance(retired, Done)
        # killed after Vault rotated, nobody has the old value any more to try it
        assert retired.data["oldValue"] == ("dead" if at in (None, 0) else "untested"), retired
        assert not postgres.login(user(world), old)


def test_another_vault_is_refused(engine: tuple[World, str]) -> None:
    world, _ = engine
    credential = plain(world, PASSWORD="of-another-vault-0123456", USER=user(world))
    with pytest.raises(RefusedError, match="not the Vault that it is from"):
        choose(credential, world.seen()).before(credential, world.tools())


def test_the_root_login_is_rotated_only_where_nobody_uses_it(engine: tuple[World, str], openbao: OpenBao, postgres: Postgres) -> None:
    world, mount = engine
    static_user = user(world)
    login = msgspec.structs.replace(world.ports.settings.databases["main"], engine="vault-root", role="pg")
    admin, secret = postgres.role(admin=True)
    url = f"postgresql://{{{{username}}}}:{{{{password}}}}@{postgres.host}:{postgres.port}/postgres?sslmode=verify-full&sslrootcert={postgres.ca}"
    config = {"username": admin, "password": secret, "plugin_name": "postgresql-database-plugin", "allowed_roles": ["*"], "connection_url": url}
    openbao.admin.write_data(f"{mount}/config/pg", data=config)
    use(world, msgspec.structs.replace(login, user=admin), openbao)
    world.secret("db", "database", {"PASSWORD": secret})
    world.patch(SECRETS, "db", {"metadata": {"annotations": {DATABASE_ANNOTATION: "main"}}})
    credential = world.credential("db")
    _, renewed, retired = stages(world, credential)
    assert isinstance(renewed, Done)
    assert retired.data["oldValue"] == "dead"
    assert not postgres.login(admin, secret)
    openbao.admin.write_data(f"{mount}/rotate-role/{static_user}")  # the engine still works
    ref = {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "db", "key": "PASSWORD"}}}
    pod = {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [{"name": "a", "image": "a", "env": [ref]}]}}
    world.create(DEPLOYMENTS, "app", {"spec": {"selector": {"matchLabels": {"app": "a"}}, "template": pod}})
    until(lambda: world.ports.cluster.list(PODS, world.namespace), "the app has a pod")
    with pytest.raises(EndStateError, match=r"Deployment .*/app uses .* and would be locked out"):
        choose(credential, world.seen()).before(credential, world.tools())


@pytest.mark.parametrize("listable", [True, False])
def test_leases_from_before_are_revoked(
    engine: tuple[World, str], openbao: OpenBao, postgres: Postgres, monkeypatch: pytest.MonkeyPatch, listable: bool
) -> None:
    world, mount = engine
    openbao.admin.write_data(f"{mount}/roles/app", data={"db_name": "pg", "default_ttl": "1h", "creation_statements": [
        "CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'"]})  # fmt: skip
    if not listable:
        monkeypatch.setenv("VAULT_TOKEN", openbao.token_for('path "sys/leases/revoke-prefix/*" { capabilities = ["update", "sudo"] }'))
    use(world, msgspec.structs.replace(world.ports.settings.databases["main"], engine="vault-dynamic", role="app", host="", user=""), openbao)
    old = [openbao.admin.read(f"{mount}/creds/app")["data"] for _ in range(3)]
    assert all(postgres.login(o["username"], o["password"]) for o in old)
    world.secret("db", "database", {"PASSWORD": "x"})
    world.patch(SECRETS, "db", {"metadata": {"annotations": {DATABASE_ANNOTATION: "main"}}})
    credential = world.credential("db")
    rotator = choose(credential, world.seen())
    before = rotator.before(credential, world.tools())
    assert isinstance(rotator.renew(credential, before, world.tools()), Done)
    new = openbao.admin.read(f"{mount}/creds/app")["data"]
    for _ in range(2):
        retired = rotator.retire(credential, before, world.tools())
    assert isinstance(retired, Done)
    assert "3 leases" in retired.data["how"] or not listable
    assert not any(postgres.login(o["username"], o["password"]) for o in old)
    assert postgres.login(new["username"], new["password"])


@pytest.mark.parametrize("changes", [{"role": "nope"}, {"mount": "nope"}, {"engine": "vault-root", "role": "nope"}])
def test_what_vault_does_not_have_is_said_and_nothing_is_written(engine: tuple[World, str], openbao: OpenBao, changes: dict[str, str]) -> None:
    world, _ = engine
    use(world, msgspec.structs.replace(world.ports.settings.databases["main"], **changes), openbao)
    with pytest.raises((EndStateError, RefusedError, ForbiddenError)) as said:
        choose(credential := plain(world), world.seen()).before(credential, world.tools())
    assert isinstance(said.value, IrkitError)
    assert not isinstance(said.value, UnreachableError)
    assert "nope" in said.value.message


@pytest.mark.parametrize(("value", "found"), [
    ("secret", "secret"), ("secret\n", "secret"), ("app", None), ("", None), ("postgresql://app:p%40s@h/db", "p@s"),
    ("postgres://other:x@h/db", None), ("postgresql+asyncpg://app:x@h", "x"), ("postgresql://app@h/db", "postgresql://app@h/db"),
])  # fmt: skip
def test_the_password_in_a_value(value: str, found: str | None) -> None:
    assert logins.passwords({"k": value.encode()}, "app").get("k") == found
    if found and found != value:
        changed = logins.with_password(value.encode(), "n/e:w@")
        assert logins.passwords({"k": changed}, "app") == {"k": "n/e:w@"}
        assert changed.decode().endswith(value[-1])
    assert logins.passwords({"k": b"\xff\xfe"}, "app") == {}


def test_the_rehearsal_clusters_vault_does_the_same(rehearsal: World) -> None:
    """Without a server to log in at, nothing is said to be dead."""
    vault, login = rehearsal.vault, rehearsal.vault.fresh("login")
    vault.create_login(login, "x")
    vault.create_login(admin := vault.fresh("admin"), "adminpw")
    mount = vault.mount("database")
    config = {
        "plugin_name": "postgresql-database-plugin",
        "allowed_roles": ["*"],
        "username": admin,
        "password": "adminpw",
        "connection_url": "host=db",
    }
    vault.ok("POST", f"{mount}/config/pg", config)
    vault.ok("POST", f"{mount}/static-roles/app", {"db_name": "pg", "username": login, "rotation_period": "86400"})
    old = vault.ok("GET", f"{mount}/static-creds/app")["password"]
    rehearsal.set(databases={"main": DatabaseSettings(engine="vault-static", mount=mount, role="app")})
    rehearsal.put("prod/db", PASSWORD=old, other="sibling")
    rehearsal.external("db", "database", {"PASSWORD": "PASSWORD"}, path="prod/db")
    rehearsal.patch(EXTERNALSECRETS, "db", {"metadata": {"annotations": {DATABASE_ANNOTATION: "main"}}})
    _, renewed, retired = stages(rehearsal, rehearsal.credential("db"))
    assert isinstance(renewed, Done)
    new = rehearsal.values("db")["PASSWORD"]
    assert rehearsal.entry("prod/db") == {"PASSWORD": new, "other": "sibling"}
    assert (vault.login(login, new), vault.login(login, old)) == (True, False)
    assert retired.data["oldValue"] == "untested"
    assert "version 1 of Vault entry" in retired.data["how"]
