"""Orders: what chats and alerts may ask irkit to do, and how many of them at once."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import msgspec

from irkit.settings.section import Section

Seconds: TypeAlias = Annotated[float, msgspec.Meta(gt=0, le=2592000)]
Name: TypeAlias = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$")]


class Person(Section, frozen=True):
    slack: tuple[str, ...] = ()
    """Slack user ids."""
    cluster: tuple[str, ...] = ()
    """Names of users as the cluster knows them."""


class JobSettings(Section, frozen=True):
    image: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
    """Image of irkit, best pinned by digest."""
    pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    """As ``imagePullPolicy`` of a container."""
    pull_secrets: tuple[Name, ...] = ()
    """Secrets in ``irkit-system`` to pull it with."""
    service_accounts: dict[str, Name] = {}
    """ServiceAccount by playbook; default ``irkit-PLAYBOOK``."""
    claim: Name | None = None
    """PersistentVolumeClaim for ``IRKIT_HOME``; without one, what a Job leaves behind is what it pushed and what is in ``irkit-system``."""
    config: Name | None = None
    """ConfigMap whose ``config.yaml`` is these settings, for Jobs."""
    playbooks: Name | None = None
    """ConfigMap with playbooks that override the built-in ones."""
    secret: Name | None = None
    """Secret whose keys are the Jobs' environment: for Vault, the object store, the mail server."""
    requests: dict[Literal["cpu", "memory", "ephemeral-storage"], str] = msgspec.field(default_factory=lambda: {"cpu": "100m", "memory": "128Mi"})
    """As ``resources.requests`` of a container; default 100m CPU and 128Mi memory."""
    limits: dict[Literal["cpu", "memory", "ephemeral-storage"], str] = msgspec.field(default_factory=lambda: {"memory": "512Mi"})
    """As ``resources.limits`` of a container; default 512Mi memory."""
    labels: dict[str, str] = {}
    """More labels for Jobs and their pods."""
    user: Annotated[int, msgspec.Meta(ge=1, le=2147483647)] = 65532
    """User and group id that they run as."""
    deadline: Annotated[int, msgspec.Meta(ge=60, le=604800)] = 7200
    """Seconds after which Kubernetes ends a Job; the next one goes on with the incident."""
    ttl: Annotated[int, msgspec.Meta(ge=0, le=604800)] = 3600
    """Seconds after which Kubernetes removes a Job that is over."""


class OrderSettings(Section, frozen=True):
    queue: Literal["auto", "cluster", "machine"] = "auto"
    """Where orders wait: namespace ``irkit-system`` of the cluster, or ``$IRKIT_HOME/orders``; ``auto``: the cluster where it has that namespace."""
    most_open: Annotated[int, msgspec.Meta(ge=1, le=10000)] = 200
    """Orders that may wait or run; more are refused until some are over."""
    most_running: Annotated[int, msgspec.Meta(ge=1, le=100)] = 8
    """Orders that are carried out at once."""
    lifetime: Seconds = 3600.0
    """Seconds until an order that nobody approved expires."""
    attempts: Annotated[int, msgspec.Meta(ge=1, le=100)] = 5
    """Processes that may begin with one order, where each was killed, until it counts as failed."""
    kept: Seconds = 604800.0
    """Seconds that an order stays in the queue after it is over: so long the same event makes no second one."""
    people: dict[str, Person] = {}
    """Who is who in which door, by name: where two persons are needed, irkit must know that two names are not one person."""
    jobs: JobSettings | None = None
    """Carry orders out as Kubernetes Jobs in ``irkit-system``; without it, as processes of the listener."""
