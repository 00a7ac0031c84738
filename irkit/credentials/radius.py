"""The blast radius: which credentials must be considered stolen, and why."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from irkit.model.credential import Finding
from irkit.model.kube import Obj
from irkit.ports import ClusterReader
from irkit.settings import Settings
from irkit.settings.rotation import RotationSettings


def of_pods(pods: Sequence[Obj], cluster: ClusterReader, settings: Settings, now: datetime) -> tuple[Finding, ...]:
    """Every credential that these pods could reach, each once, with all reasons."""
    raise NotImplementedError


def of_secrets(names: Sequence[str], namespace: str, cluster: ClusterReader, settings: Settings, now: datetime) -> tuple[Finding, ...]:
    """The credentials in these Secrets. Raises UsageError for a name that there is not, with the nearest ones."""
    raise NotImplementedError


def of_namespace(namespace: str, cluster: ClusterReader, settings: Settings, now: datetime) -> tuple[Finding, ...]:
    """The credentials in all Secrets of a namespace."""
    raise NotImplementedError


def due(finding: Finding, policy: RotationSettings) -> bool:
    """Whether the documented policy says that it should be rotated now."""
    raise NotImplementedError
