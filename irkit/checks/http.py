"""A probe that a playbook names: whether an address answers as it should, asked from this machine."""

from __future__ import annotations

import msgspec

from irkit.checks.base import CheckResult
from irkit.errors import IrkitError, UsageError
from irkit.model.incident import Incident
from irkit.model.kube import ObjectRef
from irkit.ports import Observed
from irkit.text import printable


class Http(msgspec.Struct, frozen=True):
    """Holds where a GET of ``url`` answers with ``status``; 0: with any from 200 to 299. Redirects are not followed."""

    url: str
    status: int = 0

    name = "http"

    def judge(self, incident: Incident, ref: ObjectRef, seen: Observed) -> CheckResult:
        shown, wanted = printable(self.url, 200), str(self.status or "2xx")
        if seen.outward is None:
            return CheckResult(check=self.name, holds=None, summary=f"{shown} was not asked: this run has no way out")
        try:
            status = seen.outward.http(self.url, seen.settings.recovery.probe_timeout)
        except IrkitError as error:
            return CheckResult(check=self.name, holds=False, summary=f"{shown} does not answer: {error.message}")
        holds = status == self.status if self.status else 200 <= status <= 299
        return CheckResult(check=self.name, holds=holds, summary=f"{shown} answers {status}" + ("" if holds else f", not {wanted}"))


def parse(text: str) -> Http:
    """``URL`` or ``URL STATUS``. Raises UsageError."""
    url, _, status = text.strip().partition(" ")
    if not url.startswith(("http://", "https://")) or not url.isascii() or (status and not (status.isdecimal() and 100 <= int(status) <= 599)):
        raise UsageError(f"an http probe is a URL and, if not 2xx, the status that it must answer, as in 'https://shop.example/health 200', "
                         f"not {printable(text, 120)!r}")  # fmt: skip
    return Http(url, int(status or 0))
