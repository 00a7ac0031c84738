"""Whatever is sent to the rehearsal's Vault, there is an answer in its words, and it goes on."""

from __future__ import annotations

import itertools
import json
import threading
from typing import Any

import pytest

from irkit.sandbox import Sandbox
from irkit.sandbox.vault import policy
from irkit.sandbox.vault.messages import Refused, seconds
from irkit.sandbox.vault.policy import Acl
from tests.contracts.vaults import VaultFace

PATHS = ("secret/data/a", "secret/metadata/a", "secret/destroy/a", "secret/delete/a", "secret/config", "secret/x", "secret", "database/config/x",
         "database/static-roles/x", "database/roles/x", "database/creds/x", "database/rotate-role/x", "auth/token/create", "auth/token/lookup",
         "auth/token/revoke", "auth/approle/login", "auth/approle/role/x", "sys/policies/acl/x", "sys/mounts/x", "sys/capabilities-self",
         "sys/leases/lookup", "sys/leases/revoke", "sys/internal/ui/mounts/secret/%00%2e%2e", "%ff%fe", "",
         "secret/data/%2e%2e/%2e%2e/x")  # fmt: skip
BODIES: tuple[Any, ...] = (
    None, {}, {"data": []}, {"data": {"a": {"b": None}}, "options": 7}, {"data": {}, "options": {"cas": "x"}}, {"versions": ["x"]},
    {"versions": {"a": 1}}, {"custom_metadata": []}, {"custom_metadata": {"a": []}, "max_versions": "x"}, {"policies": 5}, {"ttl": "never"},
    {"token": []}, {"role_id": {}, "secret_id": []}, {"policy": "path {"}, {"type": []}, {"paths": 5}, {"lease_id": []},
    {"db_name": [], "username": {}},
    {"options": []}, {"token_policies": 5}, b"[" * 10_000, b"\xff", b"7", b'{"a": 1e999}',
)  # fmt: skip


def test_there_is_always_an_answer(box: Sandbox) -> None:
    vault = VaultFace(box.vault_url, box.vault_token, str(box.vault_ca), box.database.accepts, box.database.create, box.database.drop, {})
    before = len(threading.enumerate())
    for path, body, method in itertools.product(PATHS, BODIES, ("GET", "POST", "PATCH", "DELETE", "LIST")):
        reply = vault.ask(method, path, body)
        assert reply.code in (200, 204, 400, 403, 404, 405, 413, 415, 500), (method, path, body, reply)
        assert reply.code < 400 or reply.body is None or set(reply.body) & {"errors", "request_id"}, reply
        json.dumps(reply.body)
    assert len(box.vault.requests) > 2000
    assert vault.ask("GET", "sys/health").code == 200
    assert len(threading.enumerate()) <= before + 2


@pytest.mark.parametrize(
    ("rules", "path", "operation", "allowed"),
    [
        ('path "a/*" { capabilities = ["read"] }', "a/b/c", "read", True),
        ('path "a/*" { capabilities = ["read"] }', "a", "read", False),
        ('path "a/+/c" { capabilities = ["read"] }', "a/b/c", "read", True),
        ('path "a/+/c" { capabilities = ["read"] }', "a/b/b/c", "read", False),
        ('path "a/*" { capabilities = ["read"] } path "a/b" { capabilities = ["list"] }', "a/b", "read", False),
        ('path "a/*" { capabilities = ["read"] } path "a/b*" { capabilities = ["deny"] }', "a/bc", "read", False),
        ('path "a/b" { capabilities = ["read"] } path "a/b" { capabilities = ["update"] }', "a/b", "update", True),
        ('path "+/b" { capabilities = ["read"] } path "a/*" { capabilities = ["update"] }', "a/b", "read", False),
        ('path "a" { capabilities = ["list"] }', "a/", "list", True),
        ('path "a/" { capabilities = ["list"] }', "a", "list", True),
        ('path "a.b" { capabilities = ["read"] }', "axb", "read", False),
    ],
)
def test_policies(rules: str, path: str, operation: str, allowed: bool) -> None:
    assert Acl(policy.parse(rules)).allows(operation, path) is allowed


@pytest.mark.parametrize("text", ['path "a" { capabilities = ["fly"] }', 'path "a" {', "whatever"])
def test_a_policy_that_is_none(text: str) -> None:
    with pytest.raises(Refused):
        policy.parse(text)


@pytest.mark.parametrize(("given", "expected"), [("90s", 90), ("1h30m", 5400), (7, 7), ("7", 7), (None, 3), ("2d", 172800)])
def test_durations(given: Any, expected: int) -> None:
    assert seconds(given, 3) == expected
