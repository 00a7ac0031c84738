"""A probe that a playbook names: whether a port takes connections, asked from this machine."""

from __future__ import annotations

import msgspec

from irkit.checks.base import CheckResult
from irkit.errors import IrkitError, UsageError
from irkit.model.incident import Incident
from irkit.model.kube import ObjectRef
from irkit.ports import Observed
from irkit.text import printable


class Tcp(msgspec.Struct, frozen=True):
    """Holds where a connection is taken."""

    host: str
    port: int

    name = "tcp"

    def judge(self, incident: Incident, ref: ObjectRef, seen: Observed) -> CheckResult:
        shown = f"{printable(self.host, 200)}:{self.port}"
        if seen.outward is None:
            return CheckResult(check=self.name, holds=None, summary=f"{shown} was not tried: this run has no way out")
        try:
            seen.outward.tcp(self.host, self.port, seen.settings.recovery.probe_timeout)
        except IrkitError as error:
            return CheckResult(check=self.name, holds=False, summary=f"{shown} takes no connection: {error.message}")
        return CheckResult(check=self.name, holds=True, summary=f"{shown} takes connections")


def parse(text: str) -> Tcp:
    """``HOST:PORT``. Raises UsageError."""
    host, _, port = text.strip().rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not host.isascii() or " " in host or not port.isdecimal() or not 1 <= int(port) <= 65535:
        raise UsageError(f"a tcp probe is HOST:PORT, not {printable(text, 120)!r}")
    return Tcp(host, int(port))
