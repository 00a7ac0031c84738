"""Every setting, check and flag of recovery is in its page, and nothing else is."""

from __future__ import annotations

import re

import msgspec

from irkit import reverters
from irkit.checks.wanted import ALL
from irkit.settings.recovery import RecoverySettings, SignatureSettings
from tests.docs import pages

PAGE = (pages.REFERENCE / "recovery.md").read_text()


def names(head: str) -> list[str]:
    """What the first column of the table with this head names."""
    found = re.search(rf"^\| {re.escape(head)} \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    assert found, f"no table {head}"
    return [name for line in found[1].splitlines() for name in re.findall(r"`([^`]+)`", line.split("|")[1])]


def test_every_setting_is_documented_with_its_default():
    nested = [f"signature.{f.encode_name}" for f in msgspec.structs.fields(SignatureSettings)]
    own = [f.encode_name for f in msgspec.structs.fields(RecoverySettings) if f.name != "signature"]
    assert sorted(names("`recovery`")) == sorted([*own, *nested])
    for field in msgspec.structs.fields(RecoverySettings):
        if isinstance(field.default, str | float):
            shown = f"{field.default:g}" if isinstance(field.default, float) else field.default
            assert f"| `{field.encode_name}` | `{shown}` |" in PAGE


def test_every_check_is_documented():
    assert set(names("check")) == {*ALL, "http", "tcp", "job"}


def test_every_reverter_is_documented():
    words = {"hpa": "HorizontalPodAutoscaler", "keda": "KEDA", "argocd": "Argo CD", "flux": "Flux", "helm": "Helm", "operator": "operators"}
    assert {r.kind for r in reverters.RECOGNISERS} == set(words)
    assert all(f"| {word}" in PAGE or f", {word}" in PAGE for word in words.values())
