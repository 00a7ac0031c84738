"""One value, several ExternalSecrets that read it: all of its copies are stolen, and all get the new one."""

from __future__ import annotations

from typing import Any

import pytest

from irkit.credentials.look import EXTERNALSECRETS
from irkit.credentials.radius import reached
from irkit.errors import ForbiddenError
from irkit.model.kube import Obj, Resource
from irkit.settings import Settings
from irkit.settings.rotation import ClassRule, RotationSettings
from tests.collectors.world import World
from tests.credentials.world import NOW, external, found, pod, radius, remote, secret, store

ALL: dict[str, Any] = {"containers": [{"name": "app", "envFrom": [{"secretRef": {"name": "one"}}]}]}
Objects = list[tuple[Resource, Obj]]


def says(what: str) -> Obj:
    return {"irkit.dev/rotation": what}


def read(name: str, key: str, entry: str = "prod/app", prop: str = "KEY", namespace: str = "shop", **spec: Any) -> tuple[Resource, Obj]:
    return external(name, namespace, data=[{"secretKey": key, "remoteRef": remote(entry, prop)}], **spec)


def pair(one: str | None = None, two: str | None = None, **other: Any) -> Objects:
    """The pod's Secret ``one``, and ``two`` of somebody else, filled from the same property."""
    marks: list[dict[str, Any]] = [{"annotations": says(text)} if text else {} for text in (one, two)]
    return [secret("one", "A", **marks[0]), secret("two", "B", **marks[1]), read("one", "A"), read("two", "B", **other), store()]


def test_a_copy_that_the_pod_was_not_given_is_stolen_too() -> None:
    findings = found(pair("generated", "generated"), pod(**ALL))
    assert set(findings) == {"Secret shop/one/A", "Secret shop/two/B"}
    (reason,) = findings["Secret shop/two/B"].reasons
    assert (reason.how, reason.path) == ("shared", "filled from the same entry as Secret shop/one: secret/prod/app")


@pytest.mark.parametrize("two", [
    read("two", "B", prop="OTHER"),
    read("two", "B", entry="prod/other"),
    read("two", "B", entry="other/app"),
    read("two", "B", secretStoreRef={"kind": "SecretStore", "name": "another"}),
])  # fmt: skip
def test_what_is_filled_from_elsewhere_is_no_copy(two: tuple[Resource, Obj]) -> None:
    another = store("another", vault={"server": "https://another:8200", "path": "secret", "version": "v2", "namespace": "team"})
    objects = [secret("one", "A"), secret("two", "B"), read("one", "A"), two, store(), another]
    assert set(found(objects, pod(**ALL))) == {"Secret shop/one/A"}


@pytest.mark.parametrize("spec", [
    {"dataFrom": [{"extract": {"key": "prod/app"}}]},
    {"dataFrom": [{"extract": {"key": "/secret/data/prod/app"}}]},
    {"data": [{"secretKey": "x", "remoteRef": remote("prod/app", "KEY")}], "target": {"template": {"data": {"KEY": "{{ .x }}"}}}},
])  # fmt: skip
def test_a_copy_by_another_way_of_reading(spec: Obj) -> None:
    objects = [secret("one", "A"), secret("two", "KEY", "OTHER"), read("one", "A"), external("two", **spec), store()]
    assert set(found(objects, pod(**ALL))) == {"Secret shop/one/A", "Secret shop/two/KEY"}


def test_the_whole_entry_as_one_text_has_it_too() -> None:
    whole = external("two", data=[{"secretKey": "json", "remoteRef": remote("prod/app")}])
    findings = found([secret("one", "A"), secret("two", "json"), read("one", "A"), whole, store()], pod(**ALL))
    assert set(findings) == {"Secret shop/one/A", "Secret shop/two/json"}


@pytest.mark.parametrize(("one", "two"), [("generated", None), (None, "generated"), ("generated", "generated")])
def test_one_says_the_class_for_all_of_its_copies(one: str | None, two: str | None) -> None:
    findings = found(pair(one, two), pod(**ALL))
    assert {f.credential.cls for f in findings.values()} == {"generated"}


def test_whose_word_it_was_is_said() -> None:
    credential = found(pair("generated"), pod(**ALL))["Secret shop/two/B"].credential
    assert credential.why == "as Secret shop/one, which has the same value: annotation irkit.dev/rotation of the Secret"


@pytest.mark.parametrize(("one", "two"), [("generated", "issuer-made"), ("issuer-made", "generated"), ("generated", "manual")])
def test_two_that_contradict_each_other_are_left_to_a_human(one: str, two: str) -> None:
    """Else random characters would be written over what an issuer made, by the word of whoever may write one annotation."""
    findings = found(pair(one, two), pod(**ALL))
    assert {f.credential.cls for f in findings.values()} == {"manual"}
    assert all("one of them is wrong" in f.credential.why for f in findings.values())


def test_a_rule_of_the_settings_for_one_copy_counts_for_the_others() -> None:
    rules = Settings(rotation=RotationSettings(classes=(ClassRule(name="two", cls="issuer-made"),)))
    findings = found(pair("generated", None), pod(**ALL), settings=rules)
    assert {f.credential.cls for f in findings.values()} == {"manual"}


def test_readers_in_other_namespaces_are_told_of() -> None:
    shared: dict[str, Any] = {"secretStoreRef": {"kind": "ClusterSecretStore", "name": "vault"}}
    objects = [secret("one", "A"), read("one", "A", **shared), read("theirs", "B", namespace="other", **shared),
               read("not", "C", prop="OTHER", namespace="other", **shared), store(shared=True)]  # fmt: skip
    findings = found(objects, pod(**ALL))
    (finding,) = findings.values()
    assert finding.shared_with == finding.credential.source.readers == ("ExternalSecret other/theirs",)


def test_that_others_may_not_be_listed_is_a_gap() -> None:
    world = World(refuses={("list", f"{r.plural}, everywhere"): ForbiddenError("no") for r in EXTERNALSECRETS})
    told = radius([secret("one", "A"), read("one", "A"), store()], pod(**ALL), world=world)
    assert "ExternalSecrets in other namespaces than shop" in [u.what for u in told.unknown]


def test_names_of_a_stranger_are_printable() -> None:
    objects = [secret("one", "A"), secret("two", "B"), read("one", "A", entry="a\x1b[2Jb"), read("two", "B", entry="a\x1b[2Jb"), store()]
    assert all("\x1b" not in r.path for f in found(objects, pod(**ALL)).values() for r in f.reasons)


def test_a_collection_does_not_look_into_other_namespaces() -> None:
    """It reads what belongs to the pod, in seconds; that is no gap of it."""
    world = World()
    world.objects += [secret("one", "A"), read("one", "A"), read("theirs", "B", namespace="other"), store()]
    told = reached([pod(**ALL)], world, Settings(), NOW, narrow="only of its own namespace")
    assert [f.credential.source.readers for f in told.findings] == [()]
    assert told.unknown == ()
