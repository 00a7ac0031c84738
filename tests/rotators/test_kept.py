"""Values in Vault, in synced and in plain Secrets: rotated in whole, siblings as they were, the old value gone."""

from __future__ import annotations

from irkit.model.kube import SECRETS
from irkit.model.outcome import Done
from tests.rotators.world import World


def test_an_entry_and_its_secret_get_a_new_value(world: World) -> None:
    world.put(KEY="older-value-01234567890")
    first = world.put(KEY="old-value-0123456789", other="sibling", n=7, nested={"a": [1]})
    world.external("app", {"SECRET": "generated"}, {"SECRET": "KEY", "OTHER": "other"})
    credential = next(c for c in world.credentials("app") if c.cls == "generated")
    _, renewed, retired = world.rotate(credential)
    entry = world.entry()
    assert entry["KEY"] not in ("old-value-0123456789", "")
    assert {k: v for k, v in entry.items() if k != "KEY"} == {"other": "sibling", "n": 7, "nested": {"a": [1]}}
    assert world.values("app") == {"SECRET": entry["KEY"], "OTHER": "sibling"}
    assert world.about()["custom_metadata"] == {"irkit-incident": world.incident.id, "irkit-version": "3"}
    assert (world.entry(version=first), world.entry(version=1)) == (None, {"KEY": "older-value-01234567890"})
    assert isinstance(renewed, Done)
    assert isinstance(retired, Done)
    assert retired.data["oldValue"] == "dead"
    assert retired.data["how"].endswith("version 2 of Vault entry " + f"{world.kv}/prod/app is destroyed: reading answers 404")


def test_a_plain_secret_gets_a_new_value(world: World) -> None:
    world.secret("app", {"SECRET": "generated"}, {"SECRET": "old-value-0123456789", "OTHER": "sibling"})
    credential = next(c for c in world.credentials("app") if c.cls == "generated")
    _, _, retired = world.rotate(credential)
    new = world.values("app")
    assert new["SECRET"] != "old-value-0123456789"
    assert new["OTHER"] == "sibling"
    assert isinstance(retired, Done)
    assert retired.data["oldValue"] == "untested", "nobody was asked to take the old one"
    assert [s["metadata"]["name"] for s in world.ports.cluster.list(SECRETS, world.namespace) if s["metadata"]["name"].startswith("irkit-")] == []


def test_an_entry_of_a_vault_agent_gets_new_values(world: World) -> None:
    world.put(A="old-value-a-0123456789", B="old-value-b-0123456789", n=1)
    world.rotate(world.agent())
    entry = world.entry()
    assert (entry["n"], len(entry["A"]), len(entry["B"])) == (1, 22, 22)
    assert not {entry["A"], entry["B"]} & {"old-value-a-0123456789", "old-value-b-0123456789"}
