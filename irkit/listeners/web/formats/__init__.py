"""What is sent: one file a source's format; `FORMATS` is all of them. Each turns a body into no, one or many alerts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from irkit.listeners.web.formats import alertmanager, audit, falco, generic, trivy
from irkit.model.alert import Alert
from irkit.settings.serve import SourceSettings

Reader: TypeAlias = Callable[[str, bytes, SourceSettings], Sequence[Alert]]

FORMATS: dict[str, Reader] = {
    "falco": falco.read, "alertmanager": alertmanager.read, "trivy": trivy.read, "kubernetes-audit": audit.read, "json": generic.read,
}  # fmt: skip
"""By the name in the settings. Readers raise UsageError for a body that is not theirs."""
