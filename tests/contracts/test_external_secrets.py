"""External Secrets Operator: what is seen of it when a value changes in the Vault. The rehearsal cluster's, and the real one with OpenBao."""

from __future__ import annotations

import base64
import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from irkit.model import kube
from irkit.model.kube import Resource
from irkit.sandbox import Sandbox
from irkit.sandbox.controllers import external_secrets
from tests.contracts.client import Api, Obj, until
from tests.contracts.vaults import VaultFace

if TYPE_CHECKING:
    from tests.components.openbao import OpenBao
    from tests.controlplane.running import Running

EXTERNAL_SECRETS = Resource("external-secrets.io", "v1", "externalsecrets", "ExternalSecret")
STORES = Resource("external-secrets.io", "v1", "secretstores", "SecretStore")
CLUSTER_STORES = Resource("external-secrets.io", "v1", "clustersecretstores", "ClusterSecretStore", False)
NO_STORE = 'error processing spec.data[0] (key: prod/app), err: could not get SecretStore "no", SecretStore.external-secrets.io "no" not found'
_numbers = itertools.count()


@dataclass
class Synced:
    """A cluster, its Vault with entry ``prod/app``, and the store ``vault`` between them."""

    api: Api
    vault: VaultFace
    namespace: str = ""
    kv: str = ""

    def path(self, resource: Resource, name: str | None = None) -> str:
        return resource.path(self.namespace, name)

    def put(self, **values: Any) -> None:
        self.vault.ok("POST", f"{self.kv}/data/prod/app", {"data": values})

    def store(self, name: str = "vault", *, token: str = "", server: str = "") -> Obj:
        secret = {"metadata": {"name": f"{name}-token"}, "stringData": {"token": token or self.vault.root}}
        self.api.create(self.path(kube.SECRETS), secret)
        return {"server": server or self.vault.url, "path": self.kv, "version": "v2",
                "auth": {"tokenSecretRef": {"name": f"{name}-token", "key": "token"}}}  # fmt: skip

    def stored(self, name: str = "vault", **options: str) -> None:
        provider = {"vault": self.store(name, **options)}
        self.api.create(self.path(STORES), {**kind(STORES), "metadata": {"name": name}, "spec": {"provider": provider}})

    def secret(self, name: str, keys: dict[str, str], *, key: str = "prod/app", store: str = "vault", **spec: Any) -> Obj:
        """An ExternalSecret; ``keys``: of the target → property."""
        data = [{"secretKey": name, "remoteRef": {"key": key, "property": prop}} for name, prop in keys.items()]
        body = {"secretStoreRef": {"name": store, "kind": "SecretStore"}, "refreshInterval": "1h", **({"data": data} if data else {}), **spec}
        return self.api.create(self.path(EXTERNAL_SECRETS), {**kind(EXTERNAL_SECRETS), "metadata": {"name": name}, "spec": body})

    def status(self, name: str) -> Obj:
        found: Obj = self.api.get(self.path(EXTERNAL_SECRETS, name)).get("status") or {}
        return found

    def ready(self, name: str, reason: str = "SecretSynced") -> Obj:
        """The status once its condition says so."""

        def look() -> Obj | None:
            status = self.status(name)
            return status if [c["reason"] for c in status.get("conditions") or ()] == [reason] else None

        return until(look, f"{name} says {reason}")

    def rests(self, name: str) -> bool:
        """Whether nothing has looked at it for half a second."""
        status = self.status(name)
        time.sleep(0.5)
        return self.status(name) == status

    def target(self, name: str) -> dict[str, str]:
        data = self.api.get(self.path(kube.SECRETS, name)).get("data") or {}
        return {key: base64.b64decode(value).decode() for key, value in data.items()}

    def force(self, name: str, value: str) -> None:
        self.api.patch(self.path(EXTERNAL_SECRETS, name), {"metadata": {"annotations": {"force-sync": value}}})

    def synced(self, name: str, value: str) -> Obj:
        """Force a sync and wait until it is done: the status has another version."""
        before = self.status(name).get("syncedResourceVersion")
        self.force(name, value)

        def look() -> Obj | None:
            status = self.status(name)
            return status if status.get("syncedResourceVersion") != before else None

        return until(look, f"{name} is synced again")

    def events(self, name: str) -> list[tuple[str, str, str]]:
        found = self.api.get(self.path(kube.EVENTS))["items"]
        return [(e["type"], e["reason"], e["message"]) for e in found if e["involvedObject"]["name"] == name]


def kind(resource: Resource) -> Obj:
    return {"apiVersion": resource.api_version, "kind": resource.kind}


@pytest.fixture(scope="session")
def _sandbox_synced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Synced]:
    home = tmp_path_factory.mktemp("eso")
    box = Sandbox("empty", home=home)
    external_secrets.serve(box.store.catalog)
    with box:
        vault = VaultFace(box.vault_url, box.vault_token, str(box.vault_ca), box.database.accepts, box.database.create, box.database.drop, {})
        yield Synced(Api(box.kubeconfig, home), vault)
        assert not box.problems


@pytest.fixture(scope="session")
def _real_synced(control_plane: Running, external_secrets: Path, openbao: OpenBao, tmp_path_factory: pytest.TempPathFactory) -> Synced:
    vault = VaultFace(openbao.address, openbao.token, None, lambda role, password: False, lambda role, password: None, lambda role: None, {})
    return Synced(Api(control_plane.token_kubeconfig, tmp_path_factory.mktemp("eso")), vault)


@pytest.fixture(params=["sandbox", "operator"])
def synced(request: pytest.FixtureRequest) -> Iterator[Synced]:
    """Each of the two, with a new namespace and a new mount."""
    found: Synced = request.getfixturevalue("_sandbox_synced" if request.param == "sandbox" else "_real_synced")
    found.namespace, found.kv = f"synced-{next(_numbers)}", found.vault.mount("kv", "2")
    found.api.create(kube.NAMESPACES.path(), {"metadata": {"name": found.namespace}})
    found.put(A="a1", B="b1")
    found.stored()
    yield found
    for one in found.api.get(found.path(EXTERNAL_SECRETS))["items"]:
        found.api.send("DELETE", found.path(EXTERNAL_SECRETS, one["metadata"]["name"]))
    found.api.send("DELETE", kube.NAMESPACES.path(name=found.namespace))


def test_a_secret_is_made(synced: Synced) -> None:
    made = synced.secret("app", {"X": "A", "Y": "B"})
    assert made["spec"]["target"] == {"creationPolicy": "Owner", "deletionPolicy": "Retain"}
    assert made["spec"]["data"][0]["remoteRef"]["conversionStrategy"] == "Default"
    status = synced.ready("app")
    assert status["binding"] == {"name": "app"}
    assert status["refreshTime"].endswith("Z")
    assert "." not in status["refreshTime"]
    (condition,) = status["conditions"]
    assert (condition["type"], condition["status"], condition["message"]) == ("Ready", "True", "secret synced")
    generation, _, digest = status["syncedResourceVersion"].partition("-")
    assert (generation, len(digest)) == ("2", 56)
    found = synced.api.get(synced.path(EXTERNAL_SECRETS, "app"))
    assert found["metadata"]["finalizers"] == ["externalsecrets.external-secrets.io/externalsecret-cleanup"]
    assert (found["metadata"]["generation"], found["spec"]["refreshInterval"]) == (2, "1h0m0s")
    secret = synced.api.get(synced.path(kube.SECRETS, "app"))
    assert synced.target("app") == {"X": "a1", "Y": "b1"}
    assert secret["type"] == "Opaque"
    assert set(secret["metadata"]["labels"]) == {"reconcile.external-secrets.io/created-by", "reconcile.external-secrets.io/managed"}
    assert set(secret["metadata"]["annotations"]) == {"reconcile.external-secrets.io/data-hash"}
    assert secret["metadata"]["ownerReferences"] == [{**kind(EXTERNAL_SECRETS), "name": "app", "uid": found["metadata"]["uid"], "controller": True,
                                                      "blockOwnerDeletion": True}]  # fmt: skip
    until(lambda: ("Normal", "Created", "secret created") in synced.events("app"), "an Event")
    store = until(lambda: synced.api.get(synced.path(STORES, "vault")).get("status"), "the store is looked at")
    assert (store["capabilities"], store["conditions"][0]["reason"], store["conditions"][0]["message"]) == ("ReadWrite", "Valid", "store validated")


def test_a_new_value_comes_by_force_sync(synced: Synced) -> None:
    synced.secret("app", {"X": "A"})
    before = synced.ready("app")
    until(lambda: synced.rests("app"), "the operator has looked at what it wrote itself, too")
    synced.put(A="a2", B="b2")
    time.sleep(0.3)
    assert synced.target("app") == {"X": "a1"}  # by itself only after the interval
    after = synced.synced("app", "1")
    assert synced.target("app") == {"X": "a2"}
    assert after["syncedResourceVersion"].startswith("2-")
    assert after["conditions"] == before["conditions"]  # its time does not move
    secret = synced.api.get(synced.path(kube.SECRETS, "app"))["metadata"]
    assert secret["annotations"]["force-sync"] == "1"
    synced.put(A="a3")
    synced.force("app", "1")  # the same value is no change
    time.sleep(0.3)
    assert (synced.target("app"), synced.status("app")["syncedResourceVersion"]) == ({"X": "a2"}, after["syncedResourceVersion"])
    synced.put(A="a2")
    synced.synced("app", "2")  # nothing new to read: the Secret is written all the same, for the annotation
    again = synced.api.get(synced.path(kube.SECRETS, "app"))["metadata"]
    assert again["resourceVersion"] != secret["resourceVersion"]
    assert synced.target("app") == {"X": "a2"}
    until(lambda: ("Normal", "Updated", "secret updated") in synced.events("app"), "an Event of the update")


def test_a_failure_keeps_the_old_value(synced: Synced) -> None:
    synced.secret("app", {"X": "A", "Y": "B"})
    before = synced.ready("app")
    synced.put(A="a2")
    synced.force("app", "1")
    failed = synced.ready("app", "SecretSyncedError")
    (condition,) = failed["conditions"]
    assert (condition["status"], condition["message"]) == ("False", "could not get secret data from provider")
    assert [failed[key] for key in ("syncedResourceVersion", "refreshTime")] == [before[key] for key in ("syncedResourceVersion", "refreshTime")]
    assert synced.target("app") == {"X": "a1", "Y": "b1"}
    why = ("Warning", "UpdateFailed", 'error processing spec.data[1] (key: prod/app), err: cannot find secret data for key: "B"')
    until(lambda: why in synced.events("app"), "the Event says why")
    synced.put(A="a3", B="b3")
    synced.force("app", "2")
    assert synced.ready("app")["syncedResourceVersion"] != before["syncedResourceVersion"]
    assert synced.target("app") == {"X": "a3", "Y": "b3"}


@pytest.mark.parametrize(
    ("key", "prop", "store", "why"),
    [
        ("prod/none", "A", "vault", "error processing spec.data[0] (key: prod/none), err: Secret does not exist"),
        ("prod/app", "Z", "vault", 'error processing spec.data[0] (key: prod/app), err: cannot find secret data for key: "Z"'),
        ("prod/app", "A", "no", NO_STORE),
    ],
)  # fmt: skip
def test_what_there_is_not(synced: Synced, key: str, prop: str, store: str, why: str) -> None:
    synced.secret("app", {"X": prop}, key=key, store=store)
    failed = synced.ready("app", "SecretSyncedError")
    assert (failed["refreshTime"], failed["binding"], "syncedResourceVersion" in failed) == (None, {"name": ""}, False)
    until(lambda: ("Warning", "UpdateFailed", why) in synced.events("app"), "the Event says why")
    assert synced.api.send("GET", synced.path(kube.SECRETS, "app")).status == 404


def test_a_store_without_permission(synced: Synced) -> None:
    synced.stored("poor", token=synced.vault.client('path "other/*" { capabilities = ["read"] }'))
    until(lambda: synced.api.get(synced.path(STORES, "poor")).get("status"), "the store is looked at")
    synced.secret("app", {"X": "A"}, store="poor")
    synced.ready("app", "SecretSyncedError")
    url = f"{synced.vault.url}/v1/{synced.kv}/data/prod/app"
    why = ("error processing spec.data[0] (key: prod/app), err: cannot read secret data from Vault: Error making API request.\n\n"
           f"URL: GET {url}\nCode: 403. Errors:\n\n* 1 error occurred:\n\t* permission denied\n\n")  # fmt: skip
    until(lambda: ("Warning", "UpdateFailed", why) in synced.events("app"), "the Event says why")


@pytest.mark.parametrize("spec", [{"refreshPolicy": "CreatedOnce"}, {"refreshInterval": "0"}])
def test_some_are_never_refreshed(synced: Synced, spec: dict[str, str]) -> None:
    synced.secret("app", {"X": "A"}, **spec)
    before = synced.ready("app")
    time.sleep(0.5)  # until the operator's own cache knows what it wrote
    synced.put(A="a2")
    synced.force("app", "1")
    time.sleep(0.5)
    assert synced.status("app") == before
    assert synced.target("app") == {"X": "a1"}
    assert "force-sync" not in synced.api.get(synced.path(kube.SECRETS, "app"))["metadata"]["annotations"]


def test_on_change_is_refreshed_by_force(synced: Synced) -> None:
    synced.secret("app", {"X": "A"}, refreshPolicy="OnChange")
    synced.ready("app")
    synced.put(A="a2")
    synced.synced("app", "1")
    assert synced.target("app") == {"X": "a2"}


def test_an_immutable_target_says_synced_and_stays_old(synced: Synced) -> None:
    synced.secret("app", {"X": "A"}, target={"immutable": True})
    synced.ready("app")
    assert synced.api.get(synced.path(kube.SECRETS, "app"))["immutable"] is True
    synced.put(A="a2")
    after = synced.synced("app", "1")
    assert (after["conditions"][0]["status"], after["conditions"][0]["message"]) == ("True", "secret synced")
    assert synced.target("app") == {"X": "a1"}


def test_two_want_one_target(synced: Synced) -> None:
    synced.secret("one", {"X": "A"})
    synced.ready("one")
    synced.secret("two", {"X": "B"}, target={"name": "one"})
    failed = synced.ready("two", "SecretSyncedError")
    assert failed["conditions"][0]["message"] == "target is owned by another ExternalSecret"
    why = ("Warning", "UpdateFailed", "unable to mutate secret one: secret is owned by another ExternalSecret: one")
    until(lambda: why in synced.events("two"), "the Event says why")
    assert synced.target("one") == {"X": "a1"}


def test_a_whole_entry(synced: Synced) -> None:
    synced.put(A="a1", N=7, L=["x"])
    synced.secret("app", {"A": "N"}, dataFrom=[{"extract": {"key": "prod/app"}}])
    synced.ready("app")
    assert synced.target("app") == {"A": "7", "N": "7", "L": '["x"]'}


def test_others_do_not_keep_what_they_change(synced: Synced) -> None:
    synced.secret("app", {"X": "A"})
    synced.ready("app")
    path = synced.path(kube.SECRETS, "app")
    synced.api.patch(path, {"data": {"X": "dGFtcGVyZWQ="}})
    until(lambda: synced.target("app") == {"X": "a1"}, "the operator puts it back")
    synced.api.send("DELETE", path).ok()
    until(lambda: synced.api.send("GET", path).status == 200 and synced.target("app") == {"X": "a1"}, "the operator makes it anew")


def test_another_spec_and_the_end(synced: Synced) -> None:
    synced.secret("app", {"X": "A"})
    synced.ready("app")
    change = {"spec": {"data": [{"secretKey": "Y", "remoteRef": {"key": "prod/app", "property": "B"}}]}}
    synced.api.patch(synced.path(EXTERNAL_SECRETS, "app"), change)
    until(lambda: synced.target("app") == {"Y": "b1"}, "the target follows")
    until(lambda: synced.status("app")["syncedResourceVersion"].startswith("3-"), "the status, too")
    synced.api.send("DELETE", synced.path(EXTERNAL_SECRETS, "app")).ok()
    until(lambda: synced.api.send("GET", synced.path(EXTERNAL_SECRETS, "app")).status == 404, "it is gone")
    until(lambda: synced.api.send("GET", synced.path(kube.SECRETS, "app")).status == 404, "its Secret goes with it", 60)  # the collector
    # of the real control plane looks for new kinds every half minute


def test_a_cluster_wide_store(synced: Synced) -> None:
    name = f"vault-{synced.namespace}"
    provider = synced.store(name)
    provider["auth"]["tokenSecretRef"]["namespace"] = synced.namespace
    synced.api.create(CLUSTER_STORES.path(), {**kind(CLUSTER_STORES), "metadata": {"name": name}, "spec": {"provider": {"vault": provider}}})
    synced.secret("app", {"X": "A"}, secretStoreRef={"name": name, "kind": "ClusterSecretStore"})
    synced.ready("app")
    assert synced.target("app") == {"X": "a1"}
    synced.api.send("DELETE", CLUSTER_STORES.path(name=name)).ok()


def test_as_it_is_served(synced: Synced) -> None:
    synced.secret("app", {"X": "A"})
    synced.ready("app")
    served = {r["name"]: r for r in synced.api.get("/apis/external-secrets.io/v1")["resources"]}
    for resource, short in ((EXTERNAL_SECRETS, "es"), (STORES, "ss"), (CLUSTER_STORES, "css")):
        found = served[resource.plural]
        assert (found["kind"], found["shortNames"], found["namespaced"], found["categories"]) == (
            resource.kind, [short], resource.namespaced, ["external-secrets"])  # fmt: skip
        assert f"{resource.plural}/status" in served
    table = synced.api.send("GET", synced.path(EXTERNAL_SECRETS), accept="application/json;as=Table;v=v1;g=meta.k8s.io").ok()
    assert [c["name"] for c in table["columnDefinitions"]] == ["Name", "StoreType", "Store", "Refresh Interval", "Status", "Ready"]
    assert table["rows"][0]["cells"] == ["app", "SecretStore", "vault", "1h0m0s", "SecretSynced", "True"]
    table = synced.api.send("GET", synced.path(STORES), accept="application/json;as=Table;v=v1;g=meta.k8s.io").ok()
    assert [c["name"] for c in table["columnDefinitions"]] == ["Name", "AGE", "Status", "Capabilities", "Ready"]
