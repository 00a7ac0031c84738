"""How an application comes back: what an image must be, how long irkit looks, what a watch does."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import msgspec

from irkit.settings.section import Section

Seconds: TypeAlias = Annotated[float, msgspec.Meta(gt=0, le=604800)]
Least: TypeAlias = Literal["critical", "high", "medium", "low", "never"]


class SignatureSettings(Section, frozen=True):
    """By whom an image must be signed, for cosign: a key, or an identity and its issuer (keyless). Nothing set: not checked."""

    key: str = ""
    """A file, or a URI of cosign's: ``/etc/irkit/cosign.pub``, ``hashivault://release``."""
    identity: str = ""
    """The certificate's identity: ``https://github.com/example/todo/.github/workflows/release.yaml@refs/heads/main``."""
    issuer: str = ""
    """The identity's OIDC issuer: ``https://token.actions.githubusercontent.com``."""


class RecoverySettings(Section, frozen=True):
    block: Least = "critical"
    """An image with a vulnerability of this severity, or a worse one, is refused; ``never``: none is."""
    warn: Least = "high"
    """From this severity on, what was found is said."""
    unknown: Literal["ask", "refuse", "allow"] = "ask"
    """What is done where an image can't be scanned, or its signature not be checked."""
    signature: SignatureSettings = SignatureSettings()
    scan_timeout: Seconds = 300.0
    """Seconds until a scanner, or a signature check, is ended."""
    docker_config: Path | None = None
    """The file with the registries' logins; default: ``config.json`` in ``DOCKER_CONFIG`` or ``~/.docker``."""
    settle: Seconds = 5.0
    """Seconds after which irkit looks again whether what it stopped is still stopped, where something is there that could undo it."""
    watch_interval: Seconds = 30.0
    """Seconds between two looks of a watch."""
    probe_timeout: Seconds = 10.0
    """Seconds that one HTTP or TCP probe may take."""

    def __post_init__(self) -> None:
        if bool(self.signature.identity) != bool(self.signature.issuer):
            raise ValueError("recovery.signature: identity and issuer go together")
