"""What irkit, hvac, `bao` and External Secrets ask of a Vault: the same requests to the rehearsal cluster's and to a real OpenBao."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contracts.vaults import Reply, VaultFace, shape

ENVELOPE = {"request_id", "lease_id", "renewable", "lease_duration", "data", "wrap_info", "warnings", "auth"}
DENIED = {"errors": ["1 error occurred:\n\t* permission denied\n\n"]}
CAS = {"errors": ["check-and-set parameter did not match the current version"]}


# KV version 2


def test_a_version_and_its_metadata(vault: VaultFace) -> None:
    kv = vault.mount("kv", "2")
    assert vault.ask("GET", f"{kv}/data/a") == Reply(404, {"errors": []})
    made = vault.ask("POST", f"{kv}/data/a", {"data": {"x": "1", "n": 1, "l": ["a"], "nothing": None}})
    assert set(made.body) == ENVELOPE
    about = {"created_time": "time", "custom_metadata": None, "deletion_time": "", "destroyed": False, "version": 1}
    assert shape(made.data) == about
    read = vault.ask("GET", f"{kv}/data/a")
    assert set(read.body) == ENVELOPE
    assert shape(read.data) == {"data": {"x": "1", "n": 1, "l": ["a"], "nothing": None}, "metadata": about}
    assert vault.ask("GET", f"{kv}/data/a?version=1").data == read.data
    assert vault.ask("GET", f"{kv}/data/a?version=9") == Reply(404, {"errors": []})
    version = {"created_time": "time", "deletion_time": "", "destroyed": False}
    assert shape(vault.ok("GET", f"{kv}/metadata/a")) == {
        "cas_required": False, "created_time": "time", "current_metadata_version": 0, "current_version": 1, "custom_metadata": None,
        "delete_version_after": "0s", "max_versions": 0, "metadata_cas_required": False, "oldest_version": 0, "updated_time": "time",
        "versions": {"1": version}}  # fmt: skip


def test_check_and_set(vault: VaultFace) -> None:
    kv = vault.mount("kv", "2")
    write = {"data": {"x": "1"}, "options": {"cas": 1}}
    assert vault.ask("POST", f"{kv}/data/a", write) == Reply(400, CAS)  # nothing is there yet
    assert vault.ask("GET", f"{kv}/metadata/a").code == 404  # and nothing was left behind
    assert vault.ok("POST", f"{kv}/data/a", {**write, "options": {"cas": 0}})["version"] == 1
    assert vault.ask("POST", f"{kv}/data/a", {**write, "options": {"cas": 0}}) == Reply(400, CAS)
    assert vault.ok("PUT", f"{kv}/data/a", write)["version"] == 2
    vault.ok("POST", f"{kv}/metadata/a", {"cas_required": True})
    assert vault.ask("POST", f"{kv}/data/a", {"data": {}}).body == {"errors": ["check-and-set parameter required for this call"]}


def test_a_patch_leaves_the_siblings(vault: VaultFace) -> None:
    kv = vault.mount("kv", "2")
    assert vault.ask("PATCH", f"{kv}/data/a", {"data": {"x": "1"}}) == Reply(404, None)
    vault.ok("POST", f"{kv}/data/a", {"data": {"x": "1", "y": "2", "z": "3"}})
    assert vault.ok("PATCH", f"{kv}/data/a", {"data": {"x": "9", "z": None}, "options": {"cas": 1}})["version"] == 2
    assert vault.ok("GET", f"{kv}/data/a")["data"] == {"x": "9", "y": "2"}
    assert vault.ask("PATCH", f"{kv}/data/a", {"data": {"x": "9"}, "options": {"cas": 1}}) == Reply(400, CAS)
    wrong = vault.ask("PATCH", f"{kv}/data/a", {"data": {}}, **{"Content-Type": "application/json"})
    assert wrong == Reply(415, {"errors": ["PATCH requires Content-Type of application/merge-patch+json, provided application/json"]})
    vault.ok("DELETE", f"{kv}/data/a")
    gone = vault.ask("PATCH", f"{kv}/data/a", {"data": {"x": "9"}})
    assert (gone.code, gone.data["version"], gone.data["deletion_time"] != "") == (404, 2, True)


def test_deleted_restored_destroyed(vault: VaultFace) -> None:
    kv = vault.mount("kv", "2")
    for n in "12":
        vault.ok("POST", f"{kv}/data/a", {"data": {"x": n}})
    vault.ok("POST", f"{kv}/delete/a", {"versions": [1]})
    gone = vault.ask("GET", f"{kv}/data/a?version=1")
    assert (gone.code, gone.data["data"], shape(gone.data["metadata"]["deletion_time"])) == (404, None, "time")
    vault.ok("POST", f"{kv}/undelete/a", {"versions": [1]})
    assert vault.ok("GET", f"{kv}/data/a?version=1")["data"] == {"x": "1"}
    for method in ("POST", "PUT"):
        vault.ok(method, f"{kv}/destroy/a", {"versions": [1]})
    gone = vault.ask("GET", f"{kv}/data/a?version=1")
    assert (gone.code, gone.data["data"], gone.data["metadata"]["destroyed"]) == (404, None, True)
    assert vault.ok("GET", f"{kv}/data/a")["data"] == {"x": "2"}
    for area in ("delete", "destroy", "undelete"):
        why = f"{'no' if area == 'destroy' else 'No'} version number provided"
        assert vault.ask("POST", f"{kv}/{area}/a", {}) == Reply(400, {"errors": [why]})
        assert vault.ask("POST", f"{kv}/{area}/other", {"versions": [3]}).code == 204
    vault.ok("DELETE", f"{kv}/metadata/a")
    assert vault.ask("GET", f"{kv}/data/a") == Reply(404, {"errors": []})


def test_old_versions_make_way(vault: VaultFace) -> None:
    kv = vault.mount("kv", "2")
    vault.ok("POST", f"{kv}/metadata/a", {"max_versions": 2})
    for n in "123":
        vault.ok("POST", f"{kv}/data/a", {"data": {"x": n}})
    about = vault.ok("GET", f"{kv}/metadata/a")
    assert (sorted(about["versions"]), about["oldest_version"], about["current_version"], about["max_versions"]) == (["2", "3"], 2, 3, 2)
    assert vault.ask("GET", f"{kv}/data/a?version=1") == Reply(404, {"errors": []})
    for number in range(11):
        vault.ok("POST", f"{kv}/data/b", {"data": {"x": number}})
    assert len(vault.ok("GET", f"{kv}/metadata/b")["versions"]) == 10


def test_custom_metadata_is_a_mark(vault: VaultFace) -> None:
    kv = vault.mount("kv", "2")
    assert vault.ask("PATCH", f"{kv}/metadata/a", {"custom_metadata": {"a": "b"}}).code == 404
    vault.ok("POST", f"{kv}/metadata/a", {"custom_metadata": {"irkit": "k7q2", "n": 1}})
    assert vault.ok("GET", f"{kv}/metadata/a")["custom_metadata"] == {"irkit": "k7q2", "n": "1"}
    assert vault.ask("GET", f"{kv}/data/a") == Reply(404, {"errors": []})  # metadata without a version
    made = vault.ok("POST", f"{kv}/data/a", {"data": {"x": "1"}})
    assert (made["version"], made["custom_metadata"]) == (1, {"irkit": "k7q2", "n": "1"})
    vault.ok("PATCH", f"{kv}/metadata/a", {"custom_metadata": {"more": "y", "n": None}})
    assert vault.ok("GET", f"{kv}/data/a")["metadata"]["custom_metadata"] == {"irkit": "k7q2", "more": "y"}
    vault.ok("POST", f"{kv}/metadata/a", {"custom_metadata": {"only": "this"}})
    assert vault.ok("GET", f"{kv}/metadata/a")["custom_metadata"] == {"only": "this"}


def test_lists(vault: VaultFace) -> None:
    kv = vault.mount("kv", "2")
    assert vault.ask("LIST", f"{kv}/metadata") == Reply(404, {"errors": []})
    for path in ("b", "prod/app/x", "a"):
        vault.ok("POST", f"{kv}/data/{path}", {"data": {"x": "1"}})
    for method, path in (("LIST", "metadata"), ("LIST", "metadata/"), ("GET", "metadata?list=true")):
        assert vault.ok(method, f"{kv}/{path}") == {"keys": ["a", "b", "prod/"]}
    assert vault.ok("LIST", f"{kv}/metadata/prod") == {"keys": ["app/"]}
    assert vault.ask("LIST", f"{kv}/metadata/dev") == Reply(404, {"errors": []})


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"x": "3"}, "no data provided"),
        (None, "no data provided"),
        ({"data": "x"}, "error converting input for field \"data\": '' expected type 'map[string]interface {}', got unconvertible type 'string'"),
    ],
)
def test_bad_writes(vault: VaultFace, body: Any, error: str) -> None:
    assert vault.ask("POST", f"{vault.mount('kv', '2')}/data/a", body) == Reply(400, {"errors": [error]})


def test_no_json(vault: VaultFace) -> None:
    reply = vault.ask("POST", f"{vault.mount('kv', '2')}/data/a", b"{bad")
    assert reply.code == 400
    assert reply.body["errors"][0].startswith("failed to decode JSON input: ")


# telling version 1 from version 2


def test_version_1_and_how_it_is_told(vault: VaultFace) -> None:
    one, two = vault.mount("kv", "1"), vault.mount("kv", "2")
    for path, version in ((one, "1"), (two, "2")):
        found = vault.ok("GET", f"sys/internal/ui/mounts/{path}/prod/app")
        assert (found["path"], found["type"], found["options"]) == (f"{path}/", "kv", {"version": version})
        assert vault.ask("GET", "sys/mounts").body[f"{path}/"]["options"] == {"version": version}
        assert vault.ok("GET", "sys/mounts")[f"{path}/"]["type"] == "kv"
    assert vault.ask("POST", f"{one}/a", {"x": "1"}) == Reply(204, None)
    read = vault.ask("GET", f"{one}/a")
    assert (read.data, read.body["lease_duration"]) == ({"x": "1"}, 2764800)
    assert vault.ok("LIST", f"{one}/") == {"keys": ["a"]}
    assert vault.ask("POST", f"{one}/a", {}) == Reply(400, {"errors": ["missing data fields"]})
    vault.ok("DELETE", f"{one}/a")
    assert vault.ask("GET", f"{one}/a") == Reply(404, {"errors": []})
    taken = vault.ask("GET", f"{two}/a")
    assert (taken.code, taken.data) == (404, None)
    assert taken.body["warnings"][0].startswith("Invalid path for a versioned K/V secrets engine.")
    assert vault.ask("POST", f"sys/mounts/{one}", {"type": "kv"}) == Reply(400, {"errors": [f"path is already in use at {one}/"]})
    assert vault.ask("GET", "nomount/a") == Reply(404, {"errors": ['no handler for route "nomount/a". route entry not found.']})


# who may


def test_a_path_without_permission(vault: VaultFace) -> None:
    kv = vault.mount("kv", "2")
    token = vault.client(f'''
        path "{kv}/data/prod/*" {{ capabilities = ["read", "update"] }}  # not create
        path "{kv}/metadata/prod/*" {{ capabilities = ["list"] }}
        path "{kv}/data/prod/locked" {{ capabilities = ["deny"] }}
        path "{kv}/+/dev/app" {{ capabilities = ["read"] }}''')
    read = f"{kv}/data/prod/x"
    assert vault.ask("POST", read, {"data": {"a": "b"}}, token=token) == Reply(403, DENIED)
    assert vault.ask("GET", read, token=token) == Reply(404, {"errors": []})
    vault.ok("POST", read, {"data": {"a": "b"}})
    vault.ok("POST", read, {"data": {"a": "c"}}, token=token)
    assert vault.ok("GET", read, token=token)["data"] == {"a": "c"}
    assert vault.ok("LIST", f"{kv}/metadata/prod", token=token) == {"keys": ["x"]}
    assert vault.ask("GET", f"{kv}/data/dev/app", token=token).code == 404
    refused = [("PATCH", read), ("DELETE", read), ("GET", f"{kv}/data/prod/locked"), ("GET", f"{kv}/data/other"), ("LIST", f"{kv}/metadata"),
               ("POST", f"{kv}/destroy/prod/x"), ("GET", "nomount/a"), ("GET", "sys/mounts"), ("POST", "sys/leases/revoke-prefix/x"),
               ("GET", f"{kv}/data/dev/other")]  # fmt: skip
    for method, path in refused:
        body: Any = None if method in ("GET", "LIST", "DELETE") else {"data": {}}
        assert vault.ask(method, path, body, token=token) == Reply(403, DENIED), (method, path)
    assert vault.ok("GET", f"sys/internal/ui/mounts/{kv}/prod/x", token=token)["options"] == {"version": "2"}
    other = vault.mount("kv", "1")
    why = f'preflight capability check returned 403, please ensure client\'s policies grant access to path "{other}/x/"'
    assert vault.ask("GET", f"sys/internal/ui/mounts/{other}/x", token=token) == Reply(403, {"errors": [why]})
    asked = vault.ask("POST", "sys/capabilities-self", {"paths": [read, f"{kv}/data/prod/locked", f"{kv}/destroy/prod/x"]}, token=token)
    assert asked.body[read] == asked.data[read] == ["read", "update"]
    assert asked.data[f"{kv}/data/prod/locked"] == asked.data[f"{kv}/destroy/prod/x"] == ["deny"]


def test_tokens(vault: VaultFace) -> None:
    for token in ("", "s.nobody"):
        for method, path in (("GET", "auth/token/lookup-self"), ("GET", "secret/data/a"), ("GET", "sys/internal/ui/mounts/secret")):
            assert vault.ask(method, path, token=token) == Reply(403, {"errors": ["permission denied"]})
    root = vault.ok("GET", "auth/token/lookup-self")
    assert (root["policies"], root["ttl"], root["expire_time"]) == (["root"], 0, None)
    token = vault.client('path "x/*" { capabilities = ["read"] }')
    mine = vault.ok("GET", "auth/token/lookup-self", token=token)
    assert (mine["creation_ttl"], mine["renewable"], mine["policies"][0], mine["id"] == token) == (3600, True, "default", True)
    assert 3590 <= mine["ttl"] <= 3600
    assert shape(mine["expire_time"]) == "time"
    vault.ok("POST", "auth/token/revoke-self", token=token)
    assert vault.ask("GET", "auth/token/lookup-self", token=token) == Reply(403, {"errors": ["permission denied"]})
    assert vault.ask("GET", "secret/data/a", **{"X-Vault-Namespace": "nowhere"}) == Reply(404, {"errors": ["namespace not found"]})


def test_approle(vault: VaultFace) -> None:
    method, policy = vault.fresh("approle"), vault.fresh("policy")
    vault.ok("POST", f"sys/auth/{method}", {"type": "approle"})
    vault.ok("POST", f"sys/policies/acl/{policy}", {"policy": 'path "x/*" { capabilities = ["read"] }'})
    vault.ok("POST", f"auth/{method}/role/irkit", {"token_policies": [policy], "token_ttl": "20m"})
    role = vault.ok("GET", f"auth/{method}/role/irkit/role-id")["role_id"]
    secret = vault.ok("POST", f"auth/{method}/role/irkit/secret-id", {})["secret_id"]
    login = vault.ask("POST", f"auth/{method}/login", {"role_id": role, "secret_id": secret}, token="")
    auth = login.body["auth"]
    assert (login.code, auth["lease_duration"], auth["policies"], auth["metadata"]) == (
        200,
        1200,
        sorted(["default", policy]),
        {"role_name": "irkit"},
    )
    mine = vault.ok("GET", "auth/token/lookup-self", token=auth["client_token"])
    assert (mine["display_name"], mine["path"], mine["orphan"]) == (method, f"auth/{method}/login", True)
    wrong = {"errors": ["invalid role or secret ID"]}
    assert vault.ask("POST", f"auth/{method}/login", {"role_id": role, "secret_id": "no"}, token="") == Reply(400, wrong)
    assert vault.ask("POST", f"auth/{method}/login", {"role_id": "no", "secret_id": secret}, token="") == Reply(400, wrong)
    assert vault.ask("POST", f"auth/{method}/login", {}, token="") == Reply(500, {"errors": ["missing role_id"]})


def test_health(vault: VaultFace) -> None:
    health = vault.ask("GET", "sys/health", token="")
    assert (health.code, health.body["initialized"], health.body["sealed"], health.body["standby"]) == (200, True, False, False)
    assert vault.ask("HEAD", "sys/health", token="") == Reply(200, None)
    assert vault.ask("GET", "sys/init", token="") == Reply(200, {"initialized": True})
    leader = vault.ask("GET", "sys/leader", token="")
    assert (leader.code, leader.body["ha_enabled"]) == (200, False)
    status = vault.ask("GET", "sys/seal-status", token="")
    assert (status.code, status.body["sealed"], status.body["t"]) == (200, False, 1)
    assert set(status.body) >= {"cluster_id", "cluster_name", "version", "storage_type", "type"}


def test_sealed(sealed_vault: VaultFace) -> None:
    vault = sealed_vault
    for method, path, token in (("GET", "secret/data/a", None), ("GET", "auth/token/lookup-self", None), ("POST", "auth/approle/login", "")):
        assert vault.ask(method, path, {} if method == "POST" else None, token=token) == Reply(503, {"errors": ["Vault is sealed"]})
    health = vault.ask("GET", "sys/health", token="")
    assert (health.code, health.body["sealed"], health.body["standby"]) == (503, True, True)
    assert vault.ask("HEAD", "sys/health", token="") == Reply(503, None)
    assert vault.ask("GET", "sys/seal-status", token="").body["sealed"] is True
