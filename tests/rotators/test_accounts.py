"""Tokens of ServiceAccounts: every one from before is refused, the account is as it was, and what pods use is there."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from irkit.model.credential import Credential, Source
from irkit.model.kube import DEPLOYMENTS, SECRETS, SERVICEACCOUNTS, Obj, at, ref_of
from irkit.model.outcome import Done
from irkit.rotators import choose
from irkit.rotators.service_account import _OWNER, _REVIEWS, TOKEN_TYPE
from tests.rotators.test_killed import Fuse, Killed, fused
from tests.rotators.world import World, until


def account(world: World, name: str) -> Credential:
    made = world.create(SERVICEACCOUNTS, name, {"imagePullSecrets": [{"name": "pull"}], "automountServiceAccountToken": False}, team="a")
    return credential(world, name, made)


def credential(world: World, name: str, obj: Obj) -> Credential:
    return Credential(ref=ref_of(obj, SERVICEACCOUNTS), cls="token", source=Source(kind="service-account"))


def token(world: World, name: str) -> str:
    meta = {"name": name, "namespace": world.namespace}
    asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "metadata": meta, "spec": {"expirationSeconds": 600}}
    return str(world.ports.cluster.create(SERVICEACCOUNTS, asked, subresource="token")["status"]["token"])


def taken(world: World, value: str) -> bool:
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": value}}
    return at(world.ports.cluster.create(_REVIEWS, body), ("status", "authenticated")) is True


def filled(world: World, name: str) -> str:
    return str(until(lambda: world.values(name).get("token"), f"{name} holds a token"))


def shape(world: World, name: str) -> Any:
    found = world.get(SERVICEACCOUNTS, name)
    assert found is not None
    return (found["imagePullSecrets"], found["automountServiceAccountToken"], found["metadata"]["annotations"])


@pytest.mark.slow
def test_every_token_from_before_is_refused(world: World) -> None:
    made = account(world, "app")
    stolen, was = token(world, "app"), shape(world, "app")
    rotator = choose(made, world.seen())
    before = rotator.before(made, world.tools())
    renewed = rotator.renew(made, before, world.tools(seconds=60))
    assert isinstance(renewed, Done)
    assert (taken(world, stolen), taken(world, token(world, "app"))) == (False, True)
    assert shape(world, "app") == was
    retired = rotator.retire(made, {**before, "proof": renewed.data["proof"]}, world.tools())
    assert isinstance(retired, Done)
    assert (retired.data["oldValue"], "not authenticated" in retired.data["how"]) == ("dead", True)


def test_killed_at_any_write_the_account_is_there_again(rehearsal: World) -> None:
    world = rehearsal  # a real API server remembers each probe for 10 s
    for at_ in itertools.count():
        made = account(world, f"app{at_}")
        stolen, was = token(world, f"app{at_}"), shape(world, f"app{at_}")
        rotator = choose(made, world.seen())
        before = rotator.before(made, world.tools())
        fuse, killed = Fuse(at_), False
        try:
            rotator.renew(made, before, world.tools(seconds=60, ports=fused(world.ports, fuse)))
        except Killed:
            killed = True
        assert isinstance(rotator.renew(made, before, world.tools(seconds=60)), Done)
        assert shape(world, f"app{at_}") == was
        assert not taken(world, stolen)
        if not killed:
            break
    assert at_ >= 6


@pytest.mark.slow
def test_the_default_account_keeps_what_it_was_given(world: World) -> None:
    until(lambda: world.get(SERVICEACCOUNTS, "default"), "there is a default account")
    obj = world.patch(SERVICEACCOUNTS, "default", {"imagePullSecrets": [{"name": "pull"}]})
    made = credential(world, "default", obj)
    rotator = choose(made, world.seen())
    assert isinstance(rotator.renew(made, rotator.before(made, world.tools()), world.tools(seconds=60)), Done)
    now = world.get(SERVICEACCOUNTS, "default")
    assert now is not None
    assert (now["imagePullSecrets"], now["metadata"]["uid"] != obj["metadata"]["uid"]) == ([{"name": "pull"}], True)


def lasting(world: World) -> None:
    """Two Secrets with tokens of the account ``app``, and a workload that mounts the one."""
    for name in ("used", "unused"):
        world.create(SECRETS, name, {"type": TOKEN_TYPE}, **{_OWNER: "app"})
    volume = {"name": "t", "secret": {"secretName": "used"}}
    pod = {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [{"name": "a", "image": "a"}], "volumes": [volume]}}
    world.create(DEPLOYMENTS, "app", {"spec": {"replicas": 0, "selector": {"matchLabels": {"app": "a"}}, "template": pod}})


@pytest.mark.parametrize("of", ["account", "secret"])
def test_who_uses_a_lasting_token_is_not_restarted_before_there_is_another(rehearsal: World, of: str) -> None:
    """The cluster fills such a Secret when it comes to it."""
    world = rehearsal
    made = account(world, "app")
    lasting(world)
    old = filled(world, "used")
    (secret,) = world.credentials("used")
    credential, tools = made if of == "account" else secret, world.tools()
    rotator = choose(credential, world.seen())
    assert isinstance(rotator.renew(credential, rotator.before(credential, tools), tools), Done)
    assert world.values("used")["token"] != old
    assert taken(world, world.values("used")["token"])


@pytest.mark.controlplane
@pytest.mark.slow
@pytest.mark.parametrize("first", ["secret", *(pytest.param(p, marks=pytest.mark.exhaustive) for p in ("account", "secret alone"))])
@pytest.mark.parametrize("world", ["_real"], indirect=True, ids=["real"])
def test_lasting_tokens_are_deleted_and_made_again_where_pods_use_them(world: World, first: str) -> None:
    """By both of the account and the Secret, in either order: each is proven."""
    made = account(world, "app")
    lasting(world)
    old = {name: filled(world, name) for name in ("used", "unused")}
    secrets = [c for name in ("used", "unused") for c in world.credentials(name)]
    assert [c.cls for c in secrets] == ["token", "token"]
    order = {"account": [made, *secrets], "secret": [*secrets, made], "secret alone": secrets}[first]
    tools = world.tools(seconds=120)
    befores = [choose(c, world.seen()).before(c, tools) for c in order]
    for one, before in zip(order, befores, strict=True):
        renewed = choose(one, world.seen()).renew(one, before, tools)
        assert isinstance(renewed, Done)
        assert "not authenticated" in renewed.data["proof"]
    assert not any(taken(world, value) for value in old.values())
    assert world.get(SECRETS, "unused") is None
    new = world.values("used")["token"]
    until(lambda: taken(world, new), "the token is taken: an API server looks into its own copy of the Secret, which is behind for a moment")
