"""Rotators, one file each. `BUILTIN` names irkit's own, the most particular first; they are imported when one is first looked for.

Others' come before them: classes with the methods of `base.Rotator`, as entry points of the group ``irkit.rotators``
(Python packaging docs, "Entry points specification"). A package that is installed is trusted as irkit itself is.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from functools import cache

from irkit.errors import UsageError
from irkit.model.credential import Credential
from irkit.ports import Observed
from irkit.rotators.base import Before, Rotator, Tools
from irkit.text import printable

GROUP = "irkit.rotators"
BUILTIN: tuple[tuple[str, str], ...] = (
    ("command", "Command"),  # the user's own, whatever the class
    ("vault_database", "VaultDatabase"),
    ("postgresql", "PostgreSql"),
    ("cert_manager", "CertManager"),
    ("service_account", "ServiceAccount"),
    ("external_secret", "ExternalSecret"),
    ("vault_kv", "VaultKv"),
    ("generated", "Generated"),
    ("issuer_made", "IssuerMade"),
    ("manual", "Manual"),  # takes all that is left
)

__all__ = ["BUILTIN", "GROUP", "Before", "Rotator", "Tools", "choose", "every", "find"]


@cache
def every() -> tuple[Rotator, ...]:
    """All there are, in the order in which they are asked. Raises UsageError where one of a package's can't be used."""
    found = (*_installed(), *(getattr(importlib.import_module(f"{__name__}.{module}"), name)() for module, name in BUILTIN))
    names = [r.name for r in found]
    if twice := sorted({n for n in names if names.count(n) > 1}):
        raise UsageError(f"there are two rotators of the name {printable(twice[0])}", next=f"uninstall one of those in the group {GROUP}")
    return found


def choose(credential: Credential, seen: Observed) -> Rotator:
    """Who rotates it; the last one leaves it to a human."""
    return next(r for r in every() if r.takes(credential, seen))


def find(name: str) -> Rotator:
    """The rotator of that name. Raises UsageError: the journal may be of a machine that has more of them."""
    for rotator in every():
        if rotator.name == name:
            return rotator
    raise UsageError(f"the rotator {printable(name)} is not installed here", next="install the package that it was in")


def _installed() -> Iterator[Rotator]:
    from importlib.metadata import entry_points

    for point in sorted(entry_points(group=GROUP), key=lambda p: p.name):
        try:
            rotator: Rotator = point.load()()
            _ = (rotator.name, rotator.asks, rotator.takes, rotator.permissions, rotator.notes, rotator.before, rotator.renew, rotator.retire)
        except Exception as error:  # noqa: BLE001 -- others' code: whatever it raises, its text is not ours to show
            raise UsageError(f"the rotator {printable(point.value)} can't be used ({type(error).__name__})",
                             next=f"uninstall {printable(point.dist.name if point.dist else point.value)}, or repair it") from None  # fmt: skip
        yield rotator
