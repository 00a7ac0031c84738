"""Pieces of evidence on their way into a bag."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

import msgspec

from irkit.model.kube import ObjectRef, Value, at

# Kinds without which a pod does not count as collected: it may not be ended then.
VITAL = ("state", "logs", "specs")
OF_LIFT = ("state", "logs", "events", "specs")
"""What a lift collects of a pod that it may end and that nobody has collected."""

# Names that the documented procedure knows, at the top of the payload.
POD_FILE, EVENTS_FILE, LOGS_FILE = "incident-pod.yaml", "incident-events.txt", "incident-logs.txt"


class Artefact(msgspec.Struct, frozen=True):
    """One file of the payload. ``path`` is relative to ``data/``: parts that come from a cluster are escaped by the bag.

    ``open`` streams the bytes, as received. It may raise an IrkitError at any point: what was got before it is kept,
    and the rest is a gap with the error as its reason. ``what`` names it in a gap, too: a later artefact with the same
    ``what`` closes the gap, so it names one thing only.
    """

    path: tuple[str, ...]
    open: Callable[[], Iterator[bytes]]
    what: str  # for people: "logs of app before its restart"
    also: tuple[str, ...] = ()  # second names at the top of the payload; a name shared by several holds them one after the other
    of: str = ""  # uid of what it was taken from: another object's artefact of the same path gets a path of its own


class Missing(msgspec.Struct, frozen=True):
    """Something that should exist and was not got. ``transient``: a later try may get it."""

    what: str
    why: str
    transient: bool = False


Piece: TypeAlias = Artefact | Missing


class Scope(msgspec.Struct, frozen=True):
    """Whose evidence: one pod, with what the incident knows about it."""

    pod: ObjectRef
    suspect: bool
    owners: tuple[ObjectRef, ...] = ()
    node: str = ""
    labels: Mapping[str, str] = msgspec.field(default_factory=dict)  # before containment: what Services and policies selected it by
    service_account: str = ""


class Gap(Value, frozen=True):
    what: str
    why: str
    transient: bool = False


class Stored(Value, frozen=True):
    """An artefact in the bag."""

    path: str
    size: int
    sha256: str


class SealedBag(Value, frozen=True):
    """A bag that does not change any more. ``octets`` are bytes of artefacts, second names not counted."""

    path: str
    artefacts: int
    octets: int
    gaps: tuple[Gap, ...] = ()
    manifest_sha256: str = ""  # of tagmanifest-sha256.txt, which binds every other file of the bag


def event_time(event: Mapping[str, Any]) -> str:
    """When an Event happened last, as written in it (RFC 3339); empty where it does not say.

    ``lastTimestamp`` is null in events of the newer API, which have ``eventTime`` and, when repeated,
    ``series.lastObservedTime`` (events.k8s.io/v1).
    """
    places = (("lastTimestamp",), ("series", "lastObservedTime"), ("eventTime",), ("firstTimestamp",), ("metadata", "creationTimestamp"))
    return next((str(time) for place in places if (time := at(event, place))), "")
