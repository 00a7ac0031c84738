"""Which rotators there are: irkit's own, and those of packages that are installed beside it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from irkit import rotators
from irkit.errors import UsageError
from irkit.rotators.manual import Manual

OWN = [
    "command",
    "vault-database",
    "postgresql",
    "cert-manager",
    "service-account",
    "external-secret",
    "vault-kv",
    "generated",
    "issuer-made",
    "manual",
]


class Vendor(Manual):
    """One that a package could bring."""

    name = "vendor"


class Twin(Manual):
    """Has a name that is taken."""


class Broken:
    def __init__(self) -> None:
        raise RuntimeError("canary")


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package with entry points; write its ``entry_points.txt``."""
    info = tmp_path / "vendor-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: vendor\nVersion: 1.0\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    rotators.every.cache_clear()
    yield info / "entry_points.txt"
    rotators.every.cache_clear()


def test_the_last_one_takes_all_that_is_left(installed: Path) -> None:
    assert sorted(r.name for r in rotators.every()) == sorted(OWN)
    assert rotators.every()[-1].name == "manual"
    assert [rotators.find(name).name for name in OWN] == OWN


def test_a_package_brings_one_of_its_own(installed: Path) -> None:
    installed.write_text("[irkit.rotators]\nvendor = tests.rotators.test_registry:Vendor\n")
    assert rotators.every()[0].name == "vendor"
    assert rotators.find("vendor").name == "vendor"


@pytest.mark.parametrize(("what", "said"), [
    ("tests.rotators.test_registry:Broken", "RuntimeError"), ("tests.rotators.test_registry:nothing", "AttributeError"),
    ("no_such_module:X", "ModuleNotFoundError"), ("tests.rotators.test_registry:Path", "AttributeError"),
    ("tests.rotators.test_registry:Twin", "two rotators of the name manual"),
])  # fmt: skip
def test_one_that_can_not_be_used_is_said(installed: Path, what: str, said: str) -> None:
    installed.write_text(f"[irkit.rotators]\nvendor = {what}\n")
    with pytest.raises(UsageError, match=said) as error:
        rotators.every()
    assert "canary" not in error.value.message


def test_one_that_the_journal_names_and_is_not_installed(installed: Path) -> None:
    with pytest.raises(UsageError, match="the rotator vendor is not installed here"):
        rotators.find("vendor")


def test_none_is_imported_before_one_is_looked_for() -> None:
    program = "import sys, irkit.steps, irkit.engine.rotation; print([m for m in sys.modules if m.startswith('irkit.rotators.')])"
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert set(eval(said)) <= {"irkit.rotators.base", "irkit.rotators.shared"}
