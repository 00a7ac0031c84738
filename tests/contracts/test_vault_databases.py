"""What irkit asks of a Vault that looks after databases: the same of the rehearsal cluster's and of a real OpenBao with a real PostgreSQL."""

from __future__ import annotations

import pytest

from tests.contracts.vaults import Reply, VaultFace, shape


@pytest.fixture
def database(vault: VaultFace) -> str:
    """A mount with one connection, ``todo``."""
    mount = vault.mount("database")
    config = {"plugin_name": "postgresql-database-plugin", "allowed_roles": ["app", "guest"], "username": "vaultadmin", "password": "adminpw"}
    vault.ok("POST", f"{mount}/config/todo", {**config, **vault.connection})
    return mount


def test_a_static_role_changes_its_password(vault: VaultFace, database: str) -> None:
    user = vault.fresh("user")
    vault.create_login(user, "old")
    vault.ok("POST", f"{database}/static-roles/app", {"db_name": "todo", "username": user, "rotation_period": "86400"})
    assert not vault.login(user, "old")
    before = vault.ok("GET", f"{database}/static-creds/app")
    assert set(before) == {"last_vault_rotation", "password", "rotation_period", "ttl", "username"}
    assert (before["username"], before["rotation_period"], len(before["password"])) == (user, 86400, 20)
    assert vault.login(user, before["password"])
    vault.ok("POST", f"{database}/rotate-role/app")
    after = vault.ok("GET", f"{database}/static-creds/app")
    assert after["last_vault_rotation"] != before["last_vault_rotation"]
    assert (vault.login(user, before["password"]), vault.login(user, after["password"])) == (False, True)
    about = vault.ok("GET", f"{database}/static-roles/app")
    assert shape(about) == {"credential_type": "password", "db_name": "todo", "last_vault_rotation": "time", "rotation_period": 86400,
                            "rotation_statements": [], "username": user}  # fmt: skip
    assert vault.ok("LIST", f"{database}/static-roles") == {"keys": ["app"]}


def test_a_database_that_refuses(vault: VaultFace, database: str) -> None:
    user = vault.fresh("user")
    vault.create_login(user, "old")
    vault.ok("POST", f"{database}/static-roles/app", {"db_name": "todo", "username": user, "rotation_period": "86400"})
    before = vault.ok("GET", f"{database}/static-creds/app")["password"]
    vault.drop_login(user)
    refused = vault.ask("POST", f"{database}/rotate-role/app", {})
    why = ("1 error occurred:\n\t* unable to finish rotating credentials; retries will continue in the background but it is also safe to retry "
           "manually: error setting credentials: 1 error occurred:\n\t* failed to execute query: ERROR: role "
           f'"{user}" does not exist (SQLSTATE 42704)\n\n\n\n')  # fmt: skip
    assert refused == Reply(500, {"errors": [why]})
    assert vault.ok("GET", f"{database}/static-creds/app")["password"] == before


def test_what_there_is_not(vault: VaultFace, database: str) -> None:
    assert vault.ask("GET", f"{database}/static-creds/none") == Reply(400, {"errors": ["unknown role: none"]})
    assert vault.ask("GET", f"{database}/creds/none") == Reply(400, {"errors": ["unknown role: none"]})
    assert vault.ask("POST", f"{database}/rotate-role/none") == Reply(400, {"errors": ["no static role found for role name"]})
    for kind in ("config", "roles", "static-roles"):
        assert vault.ask("GET", f"{database}/{kind}/none") == Reply(404, {"errors": []})
    unknown = {"errors": ['1 error occurred:\n\t* failed to find entry for connection with name: "none"\n\n']}
    assert vault.ask("POST", f"{database}/rotate-root/none", {}) == Reply(500, unknown)
    role = {"db_name": "none", "username": "x", "rotation_period": "86400"}
    assert vault.ask("POST", f"{database}/static-roles/app", role) == Reply(500, unknown)
    other = vault.ask("POST", f"{database}/static-roles/zz", {**role, "db_name": "todo"})
    assert other == Reply(500, {"errors": ['1 error occurred:\n\t* "zz" is not an allowed role\n\n']})


def test_logins_for_a_lease(vault: VaultFace, database: str) -> None:
    made = "create role \"{{name}}\" login password '{{password}}' valid until '{{expiration}}'"
    vault.ok("POST", f"{database}/roles/guest", {"db_name": "todo", "creation_statements": [made], "default_ttl": "1h", "max_ttl": "2h"})
    assert vault.ok("GET", f"{database}/roles/guest")["default_ttl"] == 3600
    logins = [vault.ask("GET", f"{database}/creds/guest") for _ in range(3)]
    for reply in logins:
        assert (reply.body["renewable"], reply.body["lease_duration"]) == (True, 3600)
        assert reply.body["lease_id"].startswith(f"{database}/creds/guest/")
        assert vault.login(reply.data["username"], reply.data["password"])
    first, *others = logins
    assert len(vault.ok("LIST", f"sys/leases/lookup/{database}/creds/guest")["keys"]) == 3
    assert vault.ok("POST", "sys/leases/lookup", {"lease_id": first.body["lease_id"]})["path"] == f"{database}/creds/guest"
    assert vault.ask("POST", "sys/leases/revoke", {"lease_id": first.body["lease_id"], "sync": True}) == Reply(204, None)
    assert not vault.login(first.data["username"], first.data["password"])
    assert vault.login(others[0].data["username"], others[0].data["password"])
    assert vault.ask("POST", "sys/leases/lookup", {"lease_id": first.body["lease_id"]}) == Reply(400, {"errors": ["invalid lease"]})
    for method in ("PUT", "POST"):
        assert vault.ask(method, f"sys/leases/revoke-prefix/{database}/creds/guest", {"sync": True}) == Reply(204, None)
    assert not any(vault.login(reply.data["username"], reply.data["password"]) for reply in others)
    assert vault.ask("LIST", f"sys/leases/lookup/{database}/creds/guest") == Reply(404, {"errors": []})
    assert vault.ask("POST", "sys/leases/revoke", {}) == Reply(400, {"errors": ["lease_id must be specified"]})


def test_the_root_of_a_connection(vault: VaultFace, database: str) -> None:
    admin = vault.fresh("admin")
    vault.create_login(admin, "adminpw")
    config = {"plugin_name": "postgresql-database-plugin", "allowed_roles": ["*"], "username": admin, "password": "adminpw"}
    vault.ok("POST", f"{database}/config/own", {**config, **vault.connection})
    assert "password" not in str(vault.ok("GET", f"{database}/config/own")["connection_details"]).replace("{{password}}", "").replace(
        "%7Bpassword", ""
    )
    assert vault.ask("POST", f"{database}/rotate-root/own", {}).code == 204
    assert not vault.login(admin, "adminpw")
    user = vault.fresh("user")
    vault.create_login(user, "x")
    vault.ok("POST", f"{database}/static-roles/any", {"db_name": "own", "username": user, "rotation_period": "86400"})  # still works
