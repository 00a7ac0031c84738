"""Certificates of the real cert-manager, by a CA and by the PKI engine of a real OpenBao."""

from __future__ import annotations

import base64
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from irkit.adapters.outside import Outside
from irkit.credentials.age import validity
from irkit.errors import EndStateError
from irkit.model.credential import Credential
from irkit.model.kube import SECRETS, Obj, at
from irkit.model.outcome import Done
from irkit.rotators import choose, x509
from irkit.rotators.cert_manager import CERTIFICATES, ISSUERS
from irkit.settings.rotation import VaultSettings
from tests.components import synced
from tests.rotators.conftest import _world
from tests.rotators.test_killed import Fuse, Killed, fused
from tests.rotators.world import World, until

if TYPE_CHECKING:
    from tests.components.openbao import OpenBao

KINDS = {"Certificate": CERTIFICATES, "Issuer": ISSUERS}
pytestmark = pytest.mark.controlplane


@pytest.fixture
def world(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cert_manager: Path) -> Iterator[World]:
    for made in _world(request, "_real", tmp_path, monkeypatch):
        apply(made, *synced.self_signed_ca())
        issued(made, "ca-tls")
        yield made


def apply(world: World, *objects: Obj) -> None:
    for obj in objects:
        world.create(KINDS[obj["kind"]], obj["metadata"]["name"], {"spec": obj["spec"]})


def issued(world: World, name: str) -> dict[str, bytes]:
    """The files of a certificate that is ready."""

    def ready() -> bool:
        conditions = at(world.get(CERTIFICATES, name) or {}, ("status", "conditions"), ())
        return {("Ready", "True")} == {(c["type"], c["status"]) for c in conditions}

    until(ready, f"{name} is ready")
    return files(world, name)


def files(world: World, name: str) -> dict[str, bytes]:
    return {k: base64.b64decode(v) for k, v in at(world.get(SECRETS, name) or {}, ("data",), {}).items()}


def certificate(world: World, name: str, *, issuer: str = "ca", **spec: Any) -> Credential:
    apply(world, synced.certificate(name, issuer, **spec))
    issued(world, name)
    return world.credential(name)


@pytest.mark.parametrize("policy", ["Always", "Never"])
def test_a_new_key_and_serial_and_no_word_of_death(world: World, policy: str) -> None:
    credential = certificate(world, "web", rotation=policy)
    old = files(world, "web")
    rotator = choose(credential, world.seen())
    assert rotator.name == "cert-manager"
    before = rotator.before(credential, world.tools())
    assert isinstance(rotator.renew(credential, before, world.tools()), Done)
    new = files(world, "web")
    assert x509.serial(new["tls.crt"]) != x509.serial(old["tls.crt"]) == before["serial"]
    assert new["tls.key"] != old["tls.key"]
    retired = rotator.retire(credential, before, world.tools())
    assert isinstance(retired, Done)
    ends = validity(old["tls.crt"])[1]
    assert (retired.data["oldValue"], f"valid until {ends:%Y-%m-%d}" in retired.data["how"]) == ("untested", True)


@pytest.mark.slow
def test_killed_at_any_write_it_is_issued_once_more(world: World) -> None:
    for at_ in itertools.count():
        credential = certificate(world, f"web{at_}", rotation="Never")
        rotator = choose(credential, world.seen())
        before = rotator.before(credential, world.tools())
        fuse, killed = Fuse(at_), False
        try:
            rotator.renew(credential, before, world.tools(ports=fused(world.ports, fuse)))
        except Killed:
            killed = True
        assert isinstance(rotator.renew(credential, before, world.tools()), Done)
        issued(world, f"web{at_}")
        assert at(world.get(CERTIFICATES, f"web{at_}") or {}, ("status", "revision")) == 2
        if not killed:
            break
    assert at_ >= 4  # one more for each time cert-manager wrote between irkit's read and write


def test_what_an_authority_signed_is_issued_again(world: World) -> None:
    """Two levels: the CA, an authority below it with an issuer of its own, and a leaf of each."""
    certificate(world, "web")
    certificate(world, "below", isCA=True, commonName="below")
    apply(world, {"kind": "Issuer", "metadata": {"name": "below"}, "spec": {"ca": {"secretName": "below"}}})
    certificate(world, "deep", issuer="below")
    names = ["ca-tls", "web", "below", "deep"]
    old = {n: files(world, n) for n in names}
    (credential,) = (c for c in world.credentials("ca-tls") if c.cls == "certificate")
    rotator = choose(credential, world.seen())
    assert any("web" in n and "below" in n for n in rotator.notes(credential, world.seen()))
    before = rotator.before(credential, world.tools())
    renewed = rotator.renew(credential, before, world.tools())
    assert isinstance(renewed, Done)
    assert all(n in renewed.detail for n in names)
    new = {n: issued(world, n) for n in names}
    assert all(x509.serial(new[n]["tls.crt"]) != x509.serial(old[n]["tls.crt"]) for n in names)
    root = x509.blocks(new["ca-tls"]["tls.crt"])[0]
    assert all(root in x509.blocks(new[n]["ca.crt"]) for n in names[1:])
    assert isinstance(rotator.renew(credential, before, world.tools()), Done)
    assert {n: files(world, n) for n in names} == new


def test_an_issuer_that_fails_leaves_the_old_certificate(world: World) -> None:
    credential = certificate(world, "web")
    old = files(world, "web")
    world.patch(CERTIFICATES, "web", {"spec": {"duration": "2160h"}})
    issued(world, "web")
    old = files(world, "web")
    rotator = choose(credential, world.seen())
    before = rotator.before(credential, world.tools())
    world.patch(ISSUERS, "ca", {"spec": {"ca": {"secretName": "nowhere"}}})
    with pytest.raises(EndStateError, match=r"was not issued.*old one is still in place"):
        rotator.renew(credential, before, world.tools(seconds=3))
    assert files(world, "web") == old
    world.patch(ISSUERS, "ca", {"spec": {"ca": {"secretName": "ca-tls"}}})
    assert isinstance(rotator.renew(credential, before, world.tools(seconds=60)), Done)


def test_a_certificate_of_vault_is_revoked_and_in_its_list(world: World, openbao: OpenBao) -> None:
    mount = openbao.mount("pki")
    openbao.admin.write_data(f"{mount}/root/generate/internal", data={"common_name": "irkit tests", "ttl": "24h"})
    openbao.admin.write_data(f"{mount}/roles/web", data={"allow_any_name": True, "max_ttl": "12h", "require_cn": False, "key_type": "any"})
    auth = {"tokenSecretRef": {"name": "vault-token", "key": "token"}}
    apply(
        world,
        {"kind": "Issuer", "metadata": {"name": "pki"}, "spec": {"vault": {"server": openbao.address, "path": f"{mount}/sign/web", "auth": auth}}},
    )
    world.set(vault=VaultSettings(address=openbao.address))
    world.ports = msgspec.structs.replace(world.ports, vaults=Outside(world.ports.settings))
    credential = certificate(world, "web", issuer="pki", duration="2h", renewBefore="1h")
    rotator = choose(credential, world.seen())
    before = rotator.before(credential, world.tools())
    assert isinstance(rotator.renew(credential, before, world.tools()), Done)
    for _ in range(2):
        retired = rotator.retire(credential, before, world.tools())
        assert isinstance(retired, Done)
        assert retired.data == {"oldValue": "dead", "how": f"certificate {before['serial']} is in the revocation list: GET {mount}/cert/crl"}
    assert x509.serial(files(world, "web")["tls.crt"]) not in x509.revoked(openbao.admin.read(f"{mount}/cert/crl")["data"]["certificate"].encode())
