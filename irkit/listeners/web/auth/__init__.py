"""Who sends: one file a scheme; `scheme` picks the one that a source's settings name."""

from __future__ import annotations

from typing import Protocol

from irkit.listeners.web.auth.bearer import Bearer
from irkit.listeners.web.auth.errors import Unauthenticated
from irkit.listeners.web.auth.mtls import Mtls
from irkit.listeners.web.auth.signed import Signed
from irkit.model.http import Head
from irkit.ports import Clock
from irkit.settings.serve import SourceSettings

__all__ = ["Scheme", "Unauthenticated", "scheme"]


class Scheme(Protocol):
    """All may raise `Unauthenticated`. Nothing that is compared tells by its time how much of it was right."""

    def head(self, head: Head) -> str:
        """Who sends, as far as the head tells; empty where only the body does."""

    def body(self, head: Head, body: bytes) -> str:
        """Who sends. It is remembered, so that the same message is refused when it comes again."""

    def forget(self, head: Head) -> None:
        """The message was not taken: it may come again."""


def scheme(name: str, settings: SourceSettings, clock: Clock) -> Scheme:
    """The scheme of source ``name``. Raises UsageError where its secrets can't be read."""
    if settings.hmac is not None:
        return Signed(name, settings.hmac, clock, most=int(settings.burst + settings.rate * 2 * settings.hmac.tolerance) + 1)
    if settings.bearer is not None:
        return Bearer(settings.bearer)
    assert settings.mtls is not None, "the settings have one of the three"
    return Mtls(settings.mtls, clock)
