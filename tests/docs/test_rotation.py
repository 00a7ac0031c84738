"""docs/reference/rotation.md says what the program knows: every rotator, every class, settings that load."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import yaml

from irkit import rotators
from irkit.model.credential import CLASSES
from irkit.settings import Settings
from irkit.settings.rotation import RotationSettings

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
