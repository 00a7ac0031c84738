"""The credentials of the Todo app: its Vault, its database's logins, and what its manifests say of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from irkit.model.kube import Obj
from irkit.sandbox.controllers import external_secrets
from irkit.sandbox.store import Store
from irkit.sandbox.vault import Vault

DATABASES: Mapping[str, Mapping[str, str]] = {"todo": {"engine": "vault-static", "user": "app", "mount": "database", "role": "app"}}
"""As in irkit's settings: the logins that keys of class ``database`` hold."""
_MANIFESTS = Path(__file__).with_name("todo-app-credentials.yaml")
_READER = 'path "secret/data/*" { capabilities = ["read"] }\npath "secret/metadata/*" { capabilities = ["read", "list"] }'
_MARKS = {"postgres-secret": {"irkit.dev/rotation": '{"APP_PASSWORD": "database", "POSTGRES_PASSWORD": "manual"}', "irkit.dev/database": "todo"}}
_USERS = ("backend", "mcp-server")


def manifests() -> list[Any]:
    import yaml

    return list(yaml.load_all(_MANIFESTS.read_bytes(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))


def marked(obj: Obj) -> Obj:
    """A manifest of the app, with what the credentials add to it: annotations, and the token that two Deployments share."""
    name = obj["metadata"]["name"]
    if obj["kind"] == "Secret" and name in _MARKS:
        return {**obj, "metadata": {**obj["metadata"], "annotations": _MARKS[name]}}
    if obj["kind"] != "Deployment" or name not in _USERS:
        return obj
    spec, inner = obj["spec"], obj["spec"]["template"]["spec"]
    token = {"name": "MCP_TOKEN", "valueFrom": {"secretKeyRef": {"name": "mcp-secret", "key": "MCP_TOKEN"}}}
    containers = [{**c, "env": [*(c.get("env") or ()), token]} for c in inner["containers"]]
    return {**obj, "spec": {**spec, "template": {**spec["template"], "spec": {**inner, "containers": containers}}}}


def build(store: Store, vault: Vault, app: list[Obj]) -> None:
    """Fill the Vault with the values of the app's Secrets, and add what syncs them."""
    values = {obj["metadata"]["name"]: dict(obj.get("stringData") or {}) for obj in app if obj["kind"] == "Secret"}
    vault.write("secret/data/prod/todo-app", {"data": values["backend-secret"]})
    _database(vault, values["postgres-secret"])
    vault.write("sys/policies/acl/external-secrets", {"policy": _READER})
    token = vault.tokens.make(["external-secrets"], display_name="token-external-secrets").id
    external_secrets.serve(store.catalog)
    for obj in manifests():
        store.add(obj)
    meta = {"name": "vault-token", "namespace": "external-secrets"}
    store.add({"apiVersion": "v1", "kind": "Secret", "metadata": meta, "stringData": {"token": token}})


def _database(vault: Vault, passwords: Mapping[str, str]) -> None:
    """The static role ``app``; the engine gave its login the password that the Secret holds."""
    vault.logins.create("postgres", passwords["POSTGRES_PASSWORD"])
    vault.logins.create("vaultadmin", vault.names.text("abcdefghijkmnopqrstuvwxyz23456789", 24, "vaultadmin"))
    vault.logins.create("app", passwords["APP_PASSWORD"])
    vault.mount("database", "database")
    connection = {"plugin_name": "postgresql-database-plugin", "allowed_roles": ["app"], "username": "vaultadmin", "verify_connection": False,
                  "connection_url": "postgresql://{{username}}:{{password}}@postgres.todo-app.svc:5432/todo"}  # fmt: skip
    vault.write("database/config/todo", connection)
    vault.write("database/static-roles/app", {"db_name": "todo", "username": "app", "rotation_period": "86400000"})
    vault.database("database").settle("app", passwords["APP_PASSWORD"])
