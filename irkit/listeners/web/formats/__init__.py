"""What is sent: one file a source's format; `FORMATS` is all of them. Each turns a body into no, one or many alerts."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from irkit.listeners.web.formats import alertmanager, audit, falco, generic, trivy
from irkit.listeners.web.formats.reading import Alerts
from irkit.settings.serve import SourceSettings

Reader: TypeAlias = Callable[[str, bytes], Alerts]

FORMATS: dict[str, Reader] = {"falco": falco.read, "alertmanager": alertmanager.read, "trivy": trivy.read, "kubernetes-audit": audit.read}
"""By the name in the settings; besides, there is ``json``, which needs a mapping."""


def reader(settings: SourceSettings) -> Reader:
    """How a source's bodies are read: by its name, and the body. It raises UsageError for a body that is not the source's."""
    mapping = settings.mapping
    if mapping is None:
        return FORMATS[settings.format]
    return lambda name, body: generic.read(name, body, mapping)
