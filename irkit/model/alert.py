"""An alert: what a source reports, in the words that rules match."""

from __future__ import annotations

from typing import Literal, TypeAlias

from irkit.model.kube import Value

Level: TypeAlias = Literal["critical", "high", "medium", "low", "unknown"]
LEVELS: tuple[Level, ...] = ("unknown", "low", "medium", "high", "critical")
"""From the least to the worst; a source that says nothing of it reports ``unknown``."""


class Alert(Value, frozen=True):
    """All of it is a stranger's words: the sender was verified, what it tells of was not."""

    source: str  # name in settings
    name: str  # of the detection: a Falco rule, an alertname, a kind of report, ``create pods/exec``
    severity: Level = "unknown"
    namespace: str = ""
    pod: str = ""
    workload: str = ""  # ``deployment/backend``, where the source names no pod
    node: str = ""
    labels: dict[str, str] = {}
    summary: str = ""
    at: str = ""  # RFC 3339, as the source says
    fingerprint: str = ""  # the same for the same event

    @property
    def subject(self) -> str:
        """What it is about, for people: ``todo-app/backend-x2``."""
        return f"{self.namespace}/{self.pod or self.workload}" if self.pod or self.workload else self.namespace or self.node
