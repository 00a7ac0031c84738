"""What pods are given by their specs; of which class it is; where it comes from; how old it is."""

from __future__ import annotations

import base64
import ssl
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from irkit import credentials
from irkit.credentials import age
from irkit.credentials.external import vault_place
from irkit.credentials.radius import due
from irkit.errors import UsageError
from irkit.model.credential import Credential, Finding
from irkit.model.kube import SECRETS, ObjectRef
from irkit.settings import Settings
from irkit.settings.rotation import ClassRule, RotationSettings
from tests.adapters import pki
from tests.collectors.world import World
from tests.credentials.world import (
    CANARY,
    NOW,
    account,
    certificate,
    external,
    found,
    hows,
    pod,
    provider,
    radius,
    remote,
    secret,
    store,
    token_secret,
)

REF = {"secretKeyRef": {"name": "s", "key": "a"}}
SPECS: dict[str, tuple[dict[str, Any], str, str]] = {
    "env": ({"containers": [{"name": "c", "env": [{"name": "A", "valueFrom": REF}]}]}, "env", "a"),
    "init env": ({"initContainers": [{"name": "c", "env": [{"name": "A", "valueFrom": REF}]}]}, "env", "a"),
    "ephemeral env": ({"ephemeralContainers": [{"name": "c", "env": [{"name": "A", "valueFrom": REF}]}]}, "env", "a"),
    "envFrom": ({"containers": [{"name": "c", "envFrom": [{"configMapRef": {"name": "x"}}, {"secretRef": {"name": "s"}}]}]}, "envFrom", "a,b"),
    "volume": ({"volumes": [{"name": "v", "secret": {"secretName": "s"}}]}, "volume", "a,b"),
    "volume items": ({"volumes": [{"name": "v", "secret": {"secretName": "s", "items": [{"key": "b", "path": "p"}]}}]}, "volume", "b"),
    "projected": ({"volumes": [{"name": "v", "projected": {"sources": [{"configMap": {}}, {"secret": {"name": "s"}}]}}]}, "volume", "a,b"),
    "csi": ({"volumes": [{"name": "v", "csi": {"driver": "d", "nodePublishSecretRef": {"name": "s"}}}]}, "csi", "a,b"),
    "azure": ({"volumes": [{"name": "v", "azureFile": {"secretName": "s"}}]}, "volume", "a,b"),
    "rbd": ({"volumes": [{"name": "v", "rbd": {"secretRef": {"name": "s"}}}]}, "volume", "a,b"),
    "pull": ({"imagePullSecrets": [{"name": "s"}]}, "pullSecret", "a,b"),
    "account's pull": ({"serviceAccountName": "puller"}, "pullSecret", "a,b"),
}


@pytest.mark.parametrize("place", SPECS)
def test_every_place_that_hands_a_secret_to_a_pod(place: str) -> None:
    spec, how, keys = SPECS[place]
    objects = [secret("s", "a", "b"), secret("other"), account("puller", imagePullSecrets=[{"name": "s"}])]
    findings = found(objects, pod(**spec))
    assert list(findings) == [f"Secret shop/s/{keys}"]
    (reason,) = findings[f"Secret shop/s/{keys}"].reasons
    assert reason.how == how
    assert reason.path


def test_a_pull_secret_of_the_account_is_used_where_the_pod_names_none() -> None:
    objects = [secret("s"), secret("own"), account("puller", imagePullSecrets=[{"name": "s"}])]
    assert list(found(objects, pod(serviceAccountName="puller", imagePullSecrets=[{"name": "own"}]))) == ["Secret shop/own/key"]


@pytest.mark.parametrize(("of_pod", "of_account", "reached"), [
    (None, None, True), (None, False, False), (None, True, True), (False, True, False), (True, False, True), (False, None, False),
])  # fmt: skip
def test_the_pod_decides_over_the_account_whether_its_token_is_mounted(of_pod: bool | None, of_account: bool | None, reached: bool) -> None:
    findings = found(
        [account("web-sa", automountServiceAccountToken=of_account)], pod(serviceAccountName="web-sa", automountServiceAccountToken=of_pod)
    )
    assert (list(findings) == ["ServiceAccount shop/web-sa"]) is reached


def test_a_projected_token_is_one_and_brings_the_accounts_lasting_ones() -> None:
    volumes = [{"name": "t", "projected": {"sources": [{"serviceAccountToken": {"path": "token", "audience": "vault"}}]}}]
    findings = found([account("web-sa"), token_secret("lasting", "web-sa"), token_secret("theirs", "other")],
                     pod(serviceAccountName="web-sa", volumes=volumes))  # fmt: skip
    assert list(findings) == ["Secret shop/lasting/token", "ServiceAccount shop/web-sa"]
    assert {f.credential.cls for f in findings.values()} == {"token"}
    assert findings["ServiceAccount shop/web-sa"].reasons[0].path.endswith("for audience vault")
    assert findings["ServiceAccount shop/web-sa"].age == 10.0
    assert findings["Secret shop/lasting/token"].credential.source.owner == "ServiceAccount web-sa"


def test_what_agents_and_drivers_read_is_no_secret_of_the_cluster() -> None:
    annotations = {"vault.hashicorp.com/agent-inject-secret-db": "secret/data/shop/db", "vault.hashicorp.com/role": "shop",
                   "vault.hashicorp.com/agent-inject-secret-lease": "database/creds/web"}  # fmt: skip
    volumes = [{"name": "v", "csi": {"driver": "secrets-store.csi.k8s.io", "volumeAttributes": {"secretProviderClass": "azure"}}}]
    findings = found([provider("azure", provider="azure", parameters={"objects": "x"})], pod(annotations=annotations, volumes=volumes))
    assert list(findings) == ["SecretProviderClass shop/azure", "VaultEntry shop/database/creds/web", "VaultEntry shop/secret/data/shop/db"]
    entry = findings["VaultEntry shop/secret/data/shop/db"].credential.source
    assert (entry.kind, entry.mount, entry.path, entry.version) == ("vault", "secret", "shop/db", "v2")
    assert "role shop" in entry.notes[0]
    assert findings["SecretProviderClass shop/azure"].credential.source.provider == "azure"


def test_a_secret_that_is_gone_may_be_in_the_pod_still_unless_it_was_optional() -> None:
    env = [{"name": "A", "valueFrom": REF}, {"name": "B", "valueFrom": {"secretKeyRef": {"name": "maybe", "key": "b", "optional": True}}}]
    findings = found([], pod(containers=[{"name": "c", "env": env}], imagePullSecrets=[{"name": "never"}]))
    assert [(n, f.credential.cls) for n, f in findings.items()] == [("Secret shop/s/a", "manual")]
    assert "is gone" in findings["Secret shop/s/a"].credential.why


# classes

ALL: dict[str, Any] = {"volumes": [{"name": "v", "secret": {"secretName": "s"}}]}
RULES = Settings(rotation=RotationSettings(classes=(
    ClassRule(cls="generated", name="s", key="A*", namespace="sh?p"), ClassRule(cls="database", name="s", key="B", database="shop"),
    ClassRule(cls="manual", name="*", key="*", command="cloud"))))  # fmt: skip


def classes(
    annotation: str | None, *keys: str, settings: Settings | None = None, on_external: bool = False, **more: Any
) -> dict[str, tuple[str, str]]:
    marks = {} if annotation is None else {"irkit.dev/rotation": annotation}
    objects = [secret("s", *keys, annotations={} if on_external else marks, **more)]
    if on_external:
        data = [{"secretKey": key, "remoteRef": remote("app", key)} for key in keys]
        resource, obj = external("s", data=data)
        objects += [store(), (resource, {**obj, "metadata": {**obj["metadata"], "annotations": marks}})]
    return {key: (f.credential.cls, f.credential.why) for f in found(objects, pod(**ALL), settings=settings).values() for key in f.credential.keys}


@pytest.mark.parametrize("on_external", [True, False])
@pytest.mark.parametrize(("annotation", "expected"), [
    ("generated", {"A": "generated", "B": "generated"}),
    ('{"A": "issuer-made", "B": "database"}', {"A": "issuer-made", "B": "database"}),
    ('{"A": "issuer-made"}', {"A": "issuer-made", "B": "manual"}),
    (None, {"A": "manual", "B": "manual"}),
    *(( wrong, {"A": "manual", "B": "manual"}) for wrong in (
        "", "generate", '{"A": "generate"}', "{", '{"A": 1}', '["A"]', "[" * 100_000, '{"A":' * 50_000, "\x1b[2J", '{"A": null}', "\ud800")),
])  # fmt: skip
def test_classes_by_annotation(annotation: str | None, expected: dict[str, str], on_external: bool) -> None:
    told = classes(annotation, "A", "B", on_external=on_external)
    assert {key: cls for key, (cls, _) in told.items()} == expected
    assert all(why and len(why) < 300 and why.isprintable() for _, why in told.values())


def test_the_annotation_of_the_secret_goes_before_all_and_then_the_settings_and_the_owner() -> None:
    told = classes('{"A": "issuer-made"}', "A", "AA", "B", "C", settings=RULES)
    assert {k: c for k, (c, _) in told.items()} == {"A": "issuer-made", "AA": "generated", "B": "database", "C": "manual"}
    kinds = {
        "kubernetes.io/dockerconfigjson": "issuer-made",
        "helm.sh/release.v1": "manual",
        "Opaque": "manual",
        "kubernetes.io/service-account-token": "token",
    }
    assert {t: classes(None, "k", type_=t)["k"][0] for t in kinds} == kinds


def test_databases_and_commands_divide_a_secret() -> None:
    findings = found([secret("s", "A", "B", "C", annotations={"irkit.dev/database": "main"})], pod(**ALL), settings=RULES)
    sources = {f.credential.keys: f.credential.source for f in findings.values()}
    assert {k: (s.database, s.command) for k, s in sources.items()} == {("A",): ("", ""), ("B",): ("main", ""), ("C",): ("", "cloud")}


# sources


@pytest.mark.parametrize(("mount", "key", "version", "expected"), [
    ("secret", "shop/db", "v2", ("secret", "shop/db")), ("secret", "secret/shop/db", "v2", ("secret", "shop/db")),
    ("secret", "secret/data/shop/db", "v2", ("secret", "shop/db")), ("secret", "secret/data/shop", "v1", ("secret", "data/shop")),
    ("secret", "data/shop", "v2", ("secret", "data/shop")), ("team/kv", "/shop/", "v2", ("team/kv", "shop")),
    ("", "secret/shop/db", "v2", ("secret", "shop/db")), ("", "team/kv/data/shop", "v2", ("team/kv", "shop")),
    ("", "secret/shop", "v1", ("secret", "shop")), ("", "", "v2", ("", "")),
])  # fmt: skip
def test_where_a_key_lies_in_vault(mount: str, key: str, version: str, expected: tuple[str, str]) -> None:
    """As ESO's provider builds the URL (pkg/provider/vault, `buildPath`)."""
    assert vault_place(mount, key, version) == expected


def test_each_entry_of_an_external_secret_is_a_credential_of_its_own() -> None:
    data = [{"secretKey": "A", "remoteRef": remote("app", "a")}, {"secretKey": "B", "remoteRef": remote("secret/app", "b")},
            {"secretKey": "C", "remoteRef": remote("vendor", "key"), "sourceRef": {"storeRef": {"kind": "ClusterSecretStore", "name": "aws"}}},
            {"secretKey": "D", "remoteRef": remote("whole")}]  # fmt: skip
    objects = [secret("s", "A", "B", "C", "D"), external("es", target={"name": "s"}, data=data, refreshPolicy="CreatedOnce"),
               store(), store("aws", shared=True, aws={"service": "SecretsManager"})]  # fmt: skip
    findings = {f.credential.keys: f.credential.source for f in found(objects, pod(**ALL)).values()}
    both, vendor, whole = findings["A", "B"], findings[("C",)], findings[("D",)]
    assert (both.provider, both.server, both.namespace, both.mount, both.path, both.version) == (
        "vault",
        "https://vault:8200",
        "team",
        "secret",
        "app",
        "v2",
    )
    assert both.properties == {"A": "a", "B": "b"}
    assert both.external_secret is not None
    assert both.external_secret.name == "es"
    assert str(both.store) == "SecretStore shop/vault"
    assert "CreatedOnce" in both.notes[0]
    assert (vendor.provider, vendor.path, vendor.mount) == ("aws", "vendor", "")
    assert (whole.properties, "as JSON" in whole.notes[0]) == ({}, True)


@pytest.mark.parametrize(("spec", "expected", "words"), [
    ({"dataFrom": [{"extract": {"key": "app"}}]}, ("secret", "app", {}, True), ""),
    ({"dataFrom": [{"extract": {"key": "app"}}], "data": [{"secretKey": "A", "remoteRef": {"key": "app", "property": "x"}}]},
     ("secret", "app", {"A": "x", "B": "B"}, True), ""),
    ({"dataFrom": [{"extract": {"key": "app"}}, {"extract": {"key": "more"}}]}, ("", "", {}, False), "several values"),
    ({"dataFrom": [{"find": {"path": "shop", "name": {"regexp": ".*"}}}]}, ("", "", {}, False), "found by"),
    ({"dataFrom": [{"sourceRef": {"generatorRef": {"kind": "Password", "name": "p"}}}]}, ("", "", {}, False), "generator Password p"),
    ({"target": {"template": {"data": {"A": "x://{{ .pw }}@h", "B": "y://{{ .pw }}@h"}}},
      "data": [{"secretKey": "pw", "remoteRef": {"key": "db", "property": "p"}}]},
     ("", "", {}, False), "rendered by a template of db#p"),
    ({"target": {"template": {"data": {"A": "{{- .pw -}}", "B": "{{ .pw }}"}}},
      "data": [{"secretKey": "pw", "remoteRef": {"key": "db", "property": "p"}}]},
     ("secret", "db", {"A": "p", "B": "p"}, False), ""),
    ({"target": {"template": {"data": {"A": "{{ .user }}:{{ .pw }}", "B": "{{ .user }}:{{ .pw }}"}}},
      "data": [{"secretKey": "user", "remoteRef": {"key": "db", "property": "u"}}, {"secretKey": "pw", "remoteRef": {"key": "db", "property": "p"}}]},
     ("", "", {}, False), "several values: db#p, db#u"),
    ({"target": {"template": {"data": {"A": "{{ .pw }}", "B": "{{ .user }}"}}}, "dataFrom": [{"extract": {"key": "db"}}]},
     ("secret", "db", {"A": "pw", "B": "user"}, False), ""),
    ({"target": {"immutable": True}, "refreshInterval": "0s", "dataFrom": [{"extract": {"key": "app"}}]}, ("secret", "app", {}, True), "immutable"),
    ({"target": {"template": {"templateFrom": [{}]}}}, ("", "", {}, False), "templates of another object"),
    ({}, ("", "", {}, False), "nothing in"),
])  # fmt: skip
def test_what_an_external_secret_reads(spec: dict[str, Any], expected: tuple[Any, ...], words: str) -> None:
    (finding,) = found([secret("s", "A", "B"), external("s", **spec), store()], pod(**ALL)).values()
    source = finding.credential.source
    assert (source.mount, source.path, source.properties, source.whole) == expected
    assert words in " | ".join(source.notes) + source.provider


def test_an_older_cluster_serves_v1beta1_and_a_store_may_be_missing() -> None:
    class Old(World):
        def list(self, resource: Any, namespace: Any = None, *, labels: str = "", fields: str = "") -> Any:
            if resource.api_version == "external-secrets.io/v1":
                from irkit.errors import NotFoundError

                raise NotFoundError("the server could not find the requested resource", status=404)
            return super().list(resource, namespace, labels=labels, fields=fields)

    (resource, obj) = external("s", dataFrom=[{"extract": {"key": "app"}}])
    beta = msgspec.structs.replace(resource, version="v1beta1")
    obj["apiVersion"] = "external-secrets.io/v1beta1"
    (finding,) = radius([secret("s"), (beta, obj)], pod(**ALL), world=Old()).findings
    source = finding.credential.source
    assert source.external_secret is not None
    assert source.external_secret.resource.version == "v1beta1"
    assert "SecretStore shop/vault could not be read" in source.notes


def test_who_owns_a_secret_is_said() -> None:
    marks = {"meta.helm.sh/release-name": "web\x1b[2J", "meta.helm.sh/release-namespace": "shop"}
    (finding,) = found([secret("s", annotations=marks)], pod(**ALL)).values()
    assert finding.credential.source.owner == "Helm release shop/web\\x1b[2J"


def test_a_certificate_is_one_credential_with_its_issuer_and_its_end() -> None:
    tls = secret("s", "tls.crt", "tls.key", "ca.crt", type_="kubernetes.io/tls", annotations={"cert-manager.io/certificate-name": "c"})
    status = {"notBefore": "2026-10-01T00:00:00Z", "notAfter": "2026-12-01T00:00:00Z"}
    env: dict[str, Any] = {"containers": [{"name": "c", "env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "tls.key"}}}]}]}
    (finding,) = found([tls, certificate("c", "s", **status)], pod(**env)).values()
    assert (finding.credential.cls, finding.credential.keys) == ("certificate", ("ca.crt", "tls.crt", "tls.key"))
    assert (finding.credential.source.kind, finding.credential.source.issuer) == ("certificate", "ClusterIssuer letsencrypt")
    assert finding.age == 52.125
    assert finding.expires == 8.875


# age


def test_the_age_is_that_of_the_last_write_by_who_wrote_data() -> None:
    fields = [{"manager": "kubectl", "time": "2026-11-01T03:00:00Z", "fieldsV1": {"f:data": {}}},
              {"manager": "labeller", "time": "2026-11-20T03:00:00Z", "fieldsV1": {"f:metadata": {}}},
              {"manager": "app", "time": "2026-11-12T03:00:00Z", "fieldsV1": {"f:data": {".": {}}}}]  # fmt: skip
    assert age.of(secret("s", managedFields=fields)[1], None).changed == NOW - timedelta(days=10)
    created = secret("s", creationTimestamp="2026-11-12T03:00:00Z")[1]
    assert age.of(created, None)[:2] == (NOW - timedelta(days=10), "creationTimestamp")
    assert age.of(secret("s")[1], None) == age.Age()
    assert age.of(secret("s", managedFields=[{"time": "yesterday", "fieldsV1": {"f:data": {}}}, {"time": None}])[1], None) == age.Age()


def test_the_end_of_a_certificate_is_in_it(tmp_path: Path) -> None:
    made = pki.made(tmp_path)
    pem = made.server.certificate.read_bytes()
    begin, end = age.validity(b"text before\n" + pem)
    said = ssl._ssl._test_decode_cert(str(made.server.certificate))  # type: ignore[attr-defined]
    assert [ssl.cert_time_to_seconds(said[n]) for n in ("notBefore", "notAfter")] == [begin.timestamp(), end.timestamp()]


@given(st.binary(max_size=200))
def test_a_certificate_that_is_none_has_no_end(content: bytes) -> None:
    pem = b"-----BEGIN CERTIFICATE-----\n" + base64.b64encode(content) + b"\n-----END CERTIFICATE-----"
    obj = {"type": "kubernetes.io/tls", "data": {"tls.crt": base64.b64encode(pem).decode()}, "metadata": {}}
    assert age.of(obj, None) == age.Age()


@pytest.mark.parametrize(("cls", "days", "expires", "expected"), [
    ("generated", 89.9, None, False), ("generated", 90.0, None, True), ("database", 91.0, None, True), ("issuer-made", 179.0, None, False),
    ("issuer-made", 180.0, None, True), ("manual", 179.0, None, False), ("manual", 181.0, None, True), ("generated", None, None, False),
    ("certificate", 900.0, 31.0, False), ("certificate", 1.0, 29.0, True), ("certificate", 1.0, None, False), ("certificate", 1.0, -5.0, True),
])  # fmt: skip
def test_what_is_due(cls: Any, days: float | None, expires: float | None, expected: bool) -> None:
    ref = ObjectRef(resource=SECRETS, name="s", namespace="shop")
    assert due(Finding(credential=Credential(ref=ref, cls=cls), age=days, expires=expires), RotationSettings()) is expected


# all Secrets of a namespace, and some by name


def test_secrets_by_name_and_all_of_them() -> None:
    world = World(objects=[secret("one", "a", "b"), secret("two"), secret("three", namespace="other")])
    names = [f.credential.name for f in credentials.of_namespace("shop", world, Settings(), NOW)]
    assert names == ["shop/one/a,b", "shop/two/key"]
    assert [f.credential.name for f in credentials.of_secrets(["two"], "shop", world, Settings(), NOW)] == ["shop/two/key"]
    with pytest.raises(UsageError, match="did you mean two"):
        credentials.of_secrets(["twoo"], "shop", world, Settings(), NOW)


def test_no_value_is_in_what_is_told() -> None:
    data = [{"secretKey": "A", "remoteRef": remote("app", "a")}]
    applied = {"kubectl.kubernetes.io/last-applied-configuration": CANARY, "irkit.dev/rotation": "generated"}
    told = radius([secret("s", "A", annotations=applied), external("s", data=data), store()], pod(**ALL))
    assert CANARY.encode() not in msgspec.json.encode(told)
    assert hows(told.findings[0]) == ["volume"]
