"""docs/reference/rotation.md says what the program knows: every rotator, every class, settings that load."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest
import yaml

from irkit import rotators
from irkit.model.credential import CLASSES
from irkit.sandbox.box import Sandbox
from irkit.settings import Settings
from irkit.settings.rotation import RotationSettings
from tests.controlplane.running import Running
from tests.docs import pages
from tests.e2e.running import Irkit

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "rotation.md").read_text()
BLOCKS = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


def test_every_rotator_and_class_has_its_row_in_the_order_of_the_program() -> None:
    _, _, table = PAGE.partition("## Rotators")
    assert re.findall(r"^\| `([\w-]+)` \|", table.partition("**Vault KV.**")[0], re.MULTILINE) == [r.name for r in rotators.every()]
    assert re.findall(r"^\| `([\w-]+)` \|", PAGE.partition("## Settings")[0], re.MULTILINE) == list(CLASSES)


def test_the_settings_load_and_name_every_field_of_rotation() -> None:
    (block,) = [b for b in BLOCKS if b.startswith("vault:")]
    values = yaml.safe_load(block)
    settings = msgspec.convert({"home": "/x", **values}, Settings, dec_hook=lambda kind, value: kind(value), strict=False)
    assert settings.rotation.classes[0].command in settings.commands
    assert {r.database for r in settings.rotation.classes if r.database} <= set(settings.databases)
    assert set(values["rotation"]) == set(RotationSettings.__struct_encode_fields__)


def test_the_example_is_there_and_runs() -> None:
    (path,) = set(re.findall(r"\]\(\.\./\.\./(examples/\S+)\)", PAGE))
    assert (Path(__file__).parents[2] / path).stat().st_mode & 0o111


CRONJOB = pages.block(pages.REFERENCE / "rotation.md", "cronjob").removeprefix("```yaml\n").removesuffix("```\n")
MANIFESTS = list(yaml.safe_load_all(CRONJOB))


def arguments() -> list[str]:
    """What the CronJob's container runs, behind the program's name."""
    (job,) = (m for m in MANIFESTS if m["kind"] == "CronJob")
    (container,) = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    program, *words = container["args"]
    assert program == "irkit"
    return list(words)


def rights() -> set[tuple[str, str, str]]:
    """Verb, API group, resource."""
    rules = [rule for m in MANIFESTS if m["kind"].endswith("Role") for rule in m["rules"]]
    return {(v, g, r) for rule in rules for v in rule["verbs"] for g in rule["apiGroups"] for r in rule["resources"]}


def test_the_cronjobs_account_may_read_what_it_needs_and_nothing_else(tmp_path: Path) -> None:
    with Sandbox("todo-app", home=tmp_path / "box") as box:
        for manifest in MANIFESTS:
            box.store.add(manifest)
        assert box.settle()
        answer = Irkit(box.account("todo-app", "irkit-due"), tmp_path / "home").run(*arguments())
        events = [e for e in box.audit if e["userAgent"].startswith("irkit/") and "objectRef" in e]
    assert answer.ended(0).document["missing"] == []
    assert answer.document["credentials"] != []
    asked = {(e["verb"], e["objectRef"].get("apiGroup", ""), e["objectRef"]["resource"]) for e in events if e["responseStatus"]["code"] == 200}
    not_served = {("list", "cert-manager.io", "certificates")}
    assert asked == rights() - not_served


@pytest.mark.controlplane
def test_the_api_server_takes_the_cronjob(control_plane: Running, namespace: str) -> None:
    text = CRONJOB.replace("namespace: todo-app", f"namespace: {namespace}")
    control_plane.kubectl("apply", "--dry-run=server", "--validate=strict", "-f", "-", stdin=text)
